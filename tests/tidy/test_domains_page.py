"""The page on host names says of every reason that stands in their way what to do."""

import re

from tests import judgements
from tests.tidy import tree


def test_every_reason_in_the_way_of_a_host_name_has_its_line() -> None:
    text = tree.document("domains.md").text
    listed = set(re.findall(r"^\| `(\w+)` \|", text.partition("## Troubleshooting")[2], re.MULTILINE))
    in_the_way = {reason.value for reason in judgements.DOMAIN_NOT_READY}
    assert listed == in_the_way - {"NotATenant"} | {"DomainUnpaid"}
