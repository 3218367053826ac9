"""The commands say what is wrapped with what, do what they say, and refuse what would be lost."""

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from moorage.cli import main
from moorage.providers.file_root_key import FileRootKey
from tests.integration.keys.stage import NEW, OLD, Stage

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

OLD_ID, NEW_ID = FileRootKey(OLD).id, FileRootKey(NEW).id
Moorage = Callable[..., Result]


@pytest.fixture
def moorage(database_url: str, tmp_path: Path) -> Moorage:
    """The command line, with these root keys in the file."""

    def run(*arguments: str, roots: tuple[bytes, ...]) -> Result:
        file = tmp_path / "roots"
        file.write_text("".join(base64.b64encode(root).decode() + "\n" for root in roots))
        settings = {"MOORAGE_DATABASE_URL": database_url, "MOORAGE_ROOT_KEY_FILE": str(file)}
        return CliRunner().invoke(main, ["keys", *arguments], env=settings)

    return run


async def by_hand(moorage: Moorage, *arguments: str, roots: tuple[bytes, ...]) -> Result:
    done = await asyncio.to_thread(lambda: moorage(*arguments, roots=roots))
    assert not isinstance(done.exception, Exception) or isinstance(done.exception, SystemExit), done.exception
    return done


async def test_a_root_key_is_replaced_by_hand_from_the_first_look_to_the_last(stage: Stage, moorage: Moorage) -> None:
    before = stage.keyring(OLD)
    await before.require()
    for _ in range(2):
        await stage.snapshot(await stage.tenant(), before)
    both = (NEW, OLD)
    shown = await by_hand(moorage, "status", roots=both)
    assert f"3 keys  {OLD_ID}  opens; `moorage keys rotate-root` frees it" in shown.output
    assert f"0 keys  {NEW_ID}  wraps" in shown.output
    without = await by_hand(moorage, "status", roots=(NEW,))
    assert f"{OLD_ID}  is not set up here: put it back" in without.output
    assert (await by_hand(moorage, "rotate-root", roots=both)).output == "3 keys wrapped anew.\n"
    shown = await by_hand(moorage, "status", roots=both)
    assert f"0 keys  {OLD_ID}  is needed for old backups only" in shown.output
    answer = json.loads((await by_hand(moorage, "status", "--json", roots=(NEW,))).output)
    assert answer == {"rootKeys": [{"rootKey": NEW_ID, "setUp": True, "wraps": True, "keys": 3}], "unfinished": 0}
    assert NEW_ID in (await by_hand(moorage, "audit", roots=(NEW,))).output
    await stage.all_open(stage.keyring(NEW))


async def test_without_the_old_root_key_nothing_is_replaced_and_the_loss_is_told(
    stage: Stage, moorage: Moorage
) -> None:
    await stage.snapshot(await stage.tenant(), stage.keyring(OLD))
    done = await by_hand(moorage, "rotate-root", roots=(NEW,))
    assert (done.exit_code, "do not open" in done.output, OLD_ID in done.output) == (1, True, True)
    await stage.all_open(stage.keyring(OLD))


async def test_tenants_keys_are_replaced_by_name_and_all_at_once(stage: Stage, moorage: Moorage) -> None:
    keyring = stage.keyring(OLD)
    await keyring.require()
    tenants = [await stage.tenant() for _ in range(3)]
    for tenant in tenants[:2]:
        await stage.snapshot(tenant, keyring)
    name = await stage.admin.fetchval("SELECT name FROM moorage.tenant WHERE uid = $1", tenants[0])
    assert (await by_hand(moorage, "rotate-tenant", name, roots=(OLD,))).output == "2 values sealed anew.\n"
    young = await by_hand(moorage, "rotate-tenant", "--all", "--older-than", "30", roots=(OLD,))
    assert young.output == "0 values sealed anew.\n"
    assert (await by_hand(moorage, "rotate-tenant", "--all", roots=(OLD,))).output == "4 values sealed anew.\n"
    assert [await stage.rows().versions(tenant) for tenant in tenants] == [[3], [2], []]
    assert (await by_hand(moorage, "rotate-tenant", "nobody", roots=(OLD,))).exit_code == 1
    assert (await by_hand(moorage, "rotate-tenant", roots=(OLD,))).exit_code == 2
    none = await stage.admin.fetchval("SELECT name FROM moorage.tenant WHERE uid = $1", tenants[2])
    assert (await by_hand(moorage, "rotate-tenant", none, roots=(OLD,))).output == "0 values sealed anew.\n"
    await stage.all_open(stage.keyring(OLD))
