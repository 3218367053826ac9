"""How much credit a gateway sets aside: worst cases, slices, and when a wallet is too small for one."""

from moorage.model.money import PICOS_PER_MICRO
from moorage.model.spending import ModelPrice

SLICE_SECONDS = 3


def worst_case_picos(price: ModelPrice, *, input_tokens: int, output_tokens_max: int) -> int:
    """What a request costs at most: nothing of its input is cached, and all of its output is used."""
    dearest_input_picos = max(price.input_picos, price.cached_picos)
    return input_tokens * dearest_input_picos + output_tokens_max * price.output_picos


def whole_micros(picos: int) -> int:
    """The smallest whole number of micro-credits that covers it; at least one, since nothing cannot be set aside."""
    return max(1, -(-picos // PICOS_PER_MICRO))


def slice_micros(*, worst_micros: int, recent_micros: int, spare_micros: int | None, gateways: int) -> int:
    """How large a slice to ask for: the next three seconds if they are like the last, but never below the request at
    hand, nor above an even share of half of what the wallet can spare.

    Half of the spare, every time, is what makes slices small near zero. `spare_micros` is None before the first answer.
    """
    wanted_micros = max(worst_micros, recent_micros)
    if spare_micros is None:
        return wanted_micros
    return max(worst_micros, min(wanted_micros, fair_share_micros(spare_micros, gateways)))


def fair_share_micros(spare_micros: int, gateways: int) -> int:
    """What one of so many gateways may set aside without leaving the others dry."""
    return max(0, spare_micros) // (2 * max(1, gateways))


def is_for_single_requests(*, worst_micros: int, spare_micros: int | None, gateways: int) -> bool:
    """Whether a wallet is too small for a slice: its requests are then held one by one, down to the last credit."""
    return spare_micros is not None and fair_share_micros(spare_micros, gateways) < worst_micros


def affordable_output_tokens(price: ModelPrice, *, input_tokens: int, spare_micros: int) -> int:
    """The output a request may have when its worst case must fit into what is left; 0 when not one token fits."""
    left_picos = spare_micros * PICOS_PER_MICRO - worst_case_picos(
        price, input_tokens=input_tokens, output_tokens_max=0
    )
    if left_picos < price.output_picos:
        return 0
    return left_picos // max(1, price.output_picos)
