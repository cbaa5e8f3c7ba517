"""A running lab for system tests: `from lab_fixture import empty_lab` gives three clusters without images."""

from collections.abc import AsyncIterator

import pytest_asyncio

from holdfast_gameday.lab.range_of_clusters import Lab, running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def empty_lab() -> AsyncIterator[Lab]:
    async with running(empty=True) as lab:
        yield lab


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab_with_images() -> AsyncIterator[Lab]:
    async with running() as lab:
        yield lab
