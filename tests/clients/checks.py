"""The checks of the scripts in this folder, which run one after another and print their names."""


def run(*checks):
    """Runs every check. The first failure ends the program with its exception."""
    for check in checks:
        check()
        print(f"{check.__name__}: ok", flush=True)
