"""What the scripts of this folder have in common: checks, which run one after another and say so."""


def run(*checks):
    """Runs every check. The first that fails ends the program with its exception."""
    for check in checks:
        check()
        print(f"{check.__name__}: ok", flush=True)
