from __future__ import annotations

import threading

from api_exchange_core.adapters.sql.fair_lock import FairLock


def test_a_free_lock_is_taken_at_once_and_is_free_again_after_release() -> None:
    lock = FairLock()
    for _ in range(2):
        assert lock.acquire(timeout=0)
        assert not lock.acquire(timeout=0)
        lock.release()


def test_whoever_asked_first_is_served_first() -> None:
    lock = FairLock()
    assert lock.acquire(timeout=0)
    served: list[int] = []

    def wait_and_serve(number: int) -> None:
        assert lock.acquire(timeout=10)
        served.append(number)
        lock.release()

    threads = []
    for number in range(8):
        thread = threading.Thread(target=wait_and_serve, args=(number,))
        thread.start()
        threads.append(thread)
        while lock.waiting <= number:
            pass
    lock.release()
    for thread in threads:
        thread.join()
    assert served == list(range(8))


def test_whoever_gives_up_is_passed_over() -> None:
    lock = FairLock()
    assert lock.acquire(timeout=0)
    assert not lock.acquire(timeout=0.001)
    lock.release()
    assert lock.acquire(timeout=0)


def test_one_thread_holds_it_at_a_time() -> None:
    lock = FairLock()
    inside = 0
    most = 0

    def enter() -> None:
        nonlocal inside, most
        for _ in range(200):
            assert lock.acquire(timeout=10)
            inside += 1
            most = max(most, inside)
            inside -= 1
            lock.release()

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
