"""What is kept by key: found again, bounded, made once."""

from __future__ import annotations

import threading

from torchish._basics.memo import Memo


def test_a_value_is_made_once() -> None:
    memo: Memo[object] = Memo()
    made = [memo.find("a", object) for _ in range(3)]
    assert made[0] is made[1] is made[2]
    assert len(memo) == 1


def test_the_oldest_make_room() -> None:
    memo: Memo[int] = Memo(3)
    for k in range(1, 6):
        memo.find(k, lambda k=k: k)
    assert len(memo) == 3
    assert memo.find(5, lambda: 50) == 5
    assert memo.find(1, lambda: 10) == 10


def test_threads_keep_it_bounded() -> None:
    memo: Memo[int] = Memo(50)

    def work(start: int) -> None:
        for k in range(start, start + 2000):
            assert memo.find(k, lambda k=k: k + 1) == k + 1

    threads = [threading.Thread(target=work, args=(500 * t,)) for t in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(memo) <= 50
