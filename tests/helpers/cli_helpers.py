"""Commands run in this process."""

from ramac_lib.cli import main


def run(capsys, *arguments):
    """Return (exit code, standard output, standard error)."""
    code = 0
    try:
        main([str(a) for a in arguments])
    except SystemExit as stop:
        code = stop.code or 0
    out, err = capsys.readouterr()
    return code, out, err
