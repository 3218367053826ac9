"""Token transfers on a chain, read: one log of a finalized transaction to an address of ours."""

import re
from typing import Any

import msgspec

from moorage.model.payments import PaymentSnapshot, Source, Trouble, Unbookable

_HASH = re.compile(r"0x[0-9a-f]{64}")
_ADDRESS = re.compile(r"0x[0-9a-f]{40}")
_WORD = re.compile(r"0x[0-9a-f]{1,64}")


class _Transfer(msgspec.Struct, frozen=True):
    chain_id: int
    tx_hash: str
    log_index: int
    token: str  # the contract that wrote the log
    to: str
    value: str  # hexadecimal, in the token's smallest unit
    succeeded: bool
    finalized: bool  # the chain cannot take it back, by the chain's own word


def object_id(chain_id: int, tx_hash: str, log_index: int) -> str:
    """The key of a transfer: a transaction may hold several."""
    return f"{chain_id}:{tx_hash}:{log_index}"


def currency(chain_id: int, token: str) -> str:
    """A token is its contract: names and symbols can be copied."""
    return f"{chain_id}:{token}"


def payer(chain_id: int, address: str) -> str:
    """A deposit address belongs to one wallet, so it is what tells who pays."""
    return f"{chain_id}:{address}"


def read(document: Any) -> PaymentSnapshot:
    """What a transfer says now; raises Unbookable when it is none."""
    try:
        found = msgspec.convert(document, _Transfer)
    except msgspec.ValidationError as error:
        raise Unbookable(Trouble.MALFORMED_PAYLOAD) from error
    well_formed = (
        _HASH.fullmatch(found.tx_hash)
        and _ADDRESS.fullmatch(found.token)
        and _ADDRESS.fullmatch(found.to)
        and _WORD.fullmatch(found.value)
        and found.chain_id > 0
        and found.log_index >= 0
    )
    if not well_formed:
        raise Unbookable(Trouble.MALFORMED_PAYLOAD)
    return PaymentSnapshot(
        source=Source.CHAIN,
        obj_id=object_id(found.chain_id, found.tx_hash, found.log_index),
        currency=currency(found.chain_id, found.token),
        amount_ext=int(found.value, 16),
        paid=found.finalized and found.succeeded,
        payer=payer(found.chain_id, found.to),
    )
