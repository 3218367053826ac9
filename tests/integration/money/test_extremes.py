"""Five thousand wallets at zero in one minute, and amounts and prices at their bounds."""

import pytest

from moorage.model.money import AMOUNT_MICROS_MAX
from tests.integration.money.world import RATE_PICOS, START_S, World

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]
T = START_S
WALLETS, DUE_MAX = 5_000, 500
RATE_PICOS_MAX = 53_375_995_583  # the bound of the schema
MANY = f"""
SELECT money.ensure_wallet(1, 'wallet-' || n, gen_random_uuid(), 0, NULL) FROM generate_series(1, {WALLETS}) n;
SELECT money.grant_credit('wallet-' || n, (20 + n % 60) * {RATE_PICOS // 1_000_000}, 'first-' || n, 'r', 'a')
FROM generate_series(1, {WALLETS}) n;
INSERT INTO moorage.tenant (uid, name, core_namespace, wallet_id)
VALUES ('00000000-0000-0000-0000-000000000001', 'many', 'mn-many', 1);
INSERT INTO moorage.agent (uid, tenant_uid, wallet_id, namespace, name, size)
SELECT gen_random_uuid(), '00000000-0000-0000-0000-000000000001', w.id, 'mn-many', w.name, 'small' FROM money.wallet w;
SELECT money.open_run(1, a.uid, gen_random_uuid(), 'c', 'node-a', 'small', {T}) FROM moorage.agent a ORDER BY wallet_id;
"""


async def test_five_thousand_wallets_that_reach_zero_in_a_minute_are_each_charged_to_their_own_second(
    world: World,
) -> None:
    await world.sql.execute(MANY)
    await world.proven_at(T + 100)
    exhausted = calls = 0
    while exhausted < WALLETS:
        settled = await world.ledger.settle_due(epoch=1, limit=DUE_MAX)
        assert settled.wallets > 0, "wallets are past their zero and nobody is due"
        exhausted, calls = exhausted + settled.exhausted, calls + 1
    assert calls <= WALLETS // DUE_MAX + 1
    wrong = (
        "SELECT count(*) FROM money.wallet WHERE balance_micros <> 0 OR cut_at <> $1 + 20 + substr(name, 8)::int % 60"
    )
    assert await world.sql.fetchval(wrong, T) == 0
    told = "SELECT count(DISTINCT name) FROM moorage.outbox WHERE kind = 'Agent' AND reason = 'ZeroBalance'"
    assert await world.sql.fetchval(told) == WALLETS


async def test_the_largest_wallet_with_the_highest_price_is_charged_exactly(world: World) -> None:
    await world.ledger.publish_rate(size="dear", rate_picos=RATE_PICOS_MAX)
    await world.wallet(micros=AMOUNT_MICROS_MAX)
    pods = [await world.open(await world.agent(f"a{number}", size="dear"), T, size="dear") for number in range(40)]
    hours = 6 * 3600
    for step in (1, hours, 40 * hours):
        await world.proven_at(T + step)
        await world.settle()
    for pod in pods:
        await world.close(pod, T + 40 * hours)
    charged = await world.sql.fetchval("SELECT sum(charged_seconds) FROM money.line")
    assert (await world.see()).balance_micros == AMOUNT_MICROS_MAX - charged * RATE_PICOS_MAX // 1_000_000
    # The first second, the six hours after it, and the last six: what lies between is older than the catch-up limit.
    assert charged == len(pods) * 2 * hours
