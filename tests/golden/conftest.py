# The files in this folder are compared as text, not run.
collect_ignore_glob = ["*.py"]
