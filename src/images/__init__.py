"""Pictures, made fit to be shown: decoded and written anew by a child process that can do nothing else."""
