"""The commands, a file each: read options, call the library, print."""
