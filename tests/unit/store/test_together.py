"""Several calls at once, none of which outlives the others."""

import asyncio

import pytest

from moorage.store.together import together

pytestmark = pytest.mark.anyio


async def test_what_each_returns_comes_in_their_order() -> None:
    first_may_end = asyncio.Event()

    async def first() -> str:
        await first_may_end.wait()
        return "first"

    async def second() -> str:
        first_may_end.set()
        return "second"

    assert await together([first(), second()]) == ["first", "second"]


async def test_the_first_error_is_raised_as_it_is_when_the_others_have_ended() -> None:
    ended: list[str] = []

    async def fails() -> None:
        raise ZeroDivisionError

    async def lasts() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("lasts")

    with pytest.raises(ZeroDivisionError):
        await together([lasts(), fails()])
    assert ended == ["lasts"]
