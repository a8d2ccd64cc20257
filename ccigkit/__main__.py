"""python -m ccigkit is ccigkit."""

from ccigkit.commands.app import main

main()
