import os
import signal
import threading
import time

import pytest

from sae_merge_method.files.interrupts import interrupts_wait


def tell(number: int, frame: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_for_a_start_even_where_another_thread_is_told_of_it(number: int) -> None:
    before = signal.signal(number, tell)
    end = threading.Event()
    threading.Thread(target=end.wait, daemon=True).start()
    reached = False
    with pytest.raises(KeyboardInterrupt), interrupts_wait():
        os.kill(os.getpid(), number)
        time.sleep(0.1)
        reached = True
    end.set()
    assert reached
    with interrupts_wait():
        pass
    assert signal.signal(number, before) is tell
