"""python -m ccigkit is ccigkit."""

from ccigkit.cli.app import main

main()
