"""`moorage preflight` says which right the DNS provider's token lacks and what to do, and changes nothing there."""

from moorage.cli.preflight import host_names
from moorage.cli.preflight.report import Finding, Outcome
from tests.fakes.cloudflare.account import DNS, EVERYTHING, SSL, TOKEN
from tests.fakes.cloudflare.account import ZONE as READ
from tests.unit.zones.stage import ZONE, Stage, played

OK, WARN, FAIL = Outcome.OK, Outcome.WARN, Outcome.FAIL


async def _looked(stage: Stage, **changed: str) -> list[Finding]:
    environment = {
        "MOORAGE_DOMAIN_ZONE": ZONE,
        "MOORAGE_DOMAIN_TARGET": "192.0.2.1",
        "MOORAGE_CLOUDFLARE_TOKEN_FILE": str(stage.token_file),
        "MOORAGE_CLOUDFLARE_URL": stage.url,
    }
    return await host_names.provider(environment | changed)


def _outcomes(findings: list[Finding]) -> list[Outcome]:
    return [item.outcome for item in findings]


@played
async def test_a_token_with_its_rights_is_fine_and_nothing_is_changed(stage: Stage) -> None:
    stage.zone.records["kept"] = {"id": "kept", "name": f"a.{ZONE}", "type": "A", "content": "192.0.2.9"}
    findings = await _looked(stage)
    assert [(item.outcome, item.found) for item in findings] == [(OK, ZONE), (OK, "there"), (OK, "there")]
    assert (list(stage.zone.records), stage.zone.hostnames) == (["kept"], {})


@played
async def test_each_right_that_is_missing_is_named_with_what_to_do(stage: Stage) -> None:
    for lacks, outcomes, advice in (
        ({READ}, [FAIL], "Add Zone / Zone / Read"),
        ({DNS}, [OK, FAIL, OK], "Add Zone / DNS / Edit"),
        ({SSL}, [OK, OK, FAIL], "Add Zone / SSL and Certificates / Edit"),
        ({DNS, SSL}, [OK, FAIL, FAIL], "Add Zone / DNS / Edit"),
    ):
        stage.account.tokens[TOKEN] = EVERYTHING - lacks
        findings = await _looked(stage)
        assert _outcomes(findings) == outcomes
        assert next(item for item in findings if item.outcome is FAIL).advice.startswith(advice)


@played
async def test_a_token_that_is_none_and_a_zone_that_is_not_there_are_told_apart(stage: Stage) -> None:
    (other,) = await _looked(stage, MOORAGE_DOMAIN_ZONE="elsewhere.example")
    assert (other.outcome, "MOORAGE_DOMAIN_ZONE" in other.advice) == (FAIL, True)
    stage.token_file.write_text("hidden-text")
    (refused,) = await _looked(stage)
    assert (refused.outcome, "token" in refused.advice) == (FAIL, True)
    assert "hidden-text" not in f"{refused.found}{refused.advice}"
    stage.token_file.unlink()
    assert await _looked(stage) == [refused], "one that cannot be read is no better"


@played
async def test_what_is_not_set_or_does_not_answer_is_a_warning(stage: Stage) -> None:
    for name in ("MOORAGE_DOMAIN_ZONE", "MOORAGE_CLOUDFLARE_TOKEN_FILE"):
        assert _outcomes(await _looked(stage, **{name: ""})) == [WARN]
    assert stage.account.calls.total() == 0
    stage.account.faults += [("find_zone", "500")]
    assert _outcomes(await _looked(stage)) == [WARN]


@played
async def test_settings_that_do_not_fit_are_a_sentence(stage: Stage) -> None:
    (finding,) = await _looked(stage, MOORAGE_DOMAIN_TARGET="")
    assert (finding.outcome, "MOORAGE_DOMAIN_TARGET" in finding.found) == (FAIL, True)
