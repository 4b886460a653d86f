"""Ctrl-C: the first one asks to stop, the second interrupts, and where it is another's business nothing hears it."""

import signal
import threading

import pytest

from ramac_lib.system.interrupts import interruptible, on_interrupt


@pytest.fixture(autouse=True)
def listening():
    """Let this process hear Ctrl-C, also where the tests were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_asks_and_the_second_interrupts():
    asked = []
    with on_interrupt(lambda: asked.append(1)), interruptible() as pressed:
        assert not pressed()
        signal.raise_signal(signal.SIGINT)
        assert pressed()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert asked == []  # the inner one heard it
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_process_that_ignores_it_goes_on_ignoring_it():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruptible() as pressed:
        signal.raise_signal(signal.SIGINT)
        assert not pressed()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_another_thread_leaves_it_to_the_main_one():
    heard = []

    def work():
        with interruptible() as pressed:
            heard.append((pressed(), signal.getsignal(signal.SIGINT) is signal.default_int_handler))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert heard == [(False, True)]
