"""The command line, and a straight function behind every command."""
