"""`moorage`: the command line for people who run the platform."""

import click

from moorage.cli import (
    agent,
    by_hand,
    database,
    journal,
    keys,
    ledger,
    payment,
    preflight,
    purge,
    rate,
    snapshot,
    statement,
    wallet,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Moorage hosts agents against prepaid credit; these commands look after the money, the
    snapshots, and into agents.

    The database is named by MOORAGE_DATABASE_URL, the cluster by KUBECONFIG.
    """


for command in by_hand.COMMANDS:
    wallet.wallet.add_command(command)
wallet.wallet.add_command(statement.export)
wallet.wallet.add_command(statement.statement)
main.add_command(wallet.wallet)
main.add_command(agent.agent)
ledger.ledger.add_command(journal.replay_journal)
main.add_command(ledger.ledger)
main.add_command(payment.payment)
main.add_command(rate.rate)
main.add_command(snapshot.snapshot)
main.add_command(purge.purge)
main.add_command(keys.keys)
main.add_command(database.migrate_database)
main.add_command(preflight.preflight)
