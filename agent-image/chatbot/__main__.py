"""Start the chatbot, wait for the signal to stop, and leave its memory complete."""

import os
import signal
import sqlite3
import sys
import threading

from chatbot.conversation import Chatbot
from chatbot.http_channel import HttpChannel
from chatbot.memory import open_memory
from chatbot.settings import SettingsError, from_environment

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
LAST_ANSWERS_SECONDS = 5.0
EXIT_UNUSABLE = 78  # EX_CONFIG of sysexits.h


def main() -> int:
    """Run until a stop signal; the exit code says whether the settings were usable."""
    # Blocked before the first thread starts, so that no thread but this one ever takes them.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        settings = from_environment(os.environ)
        memory = open_memory(settings)
    except SettingsError as error:
        return _unusable(str(error))
    except (OSError, sqlite3.Error) as error:
        return _unusable(f"The memory in {settings.data_dir} cannot be used: {error}.")
    try:
        channel = HttpChannel(Chatbot(settings, memory), settings.listen)
    except OSError as error:
        return _unusable(f"Cannot listen on {settings.listen}: {error.strerror}.")
    threading.Thread(target=channel.serve_forever, name="http", daemon=True).start()
    _say(f"listening on {channel.address}, model {settings.model}, memory retention {settings.memory_retention}")
    stop = signal.sigwait(STOP_SIGNALS)
    channel.drain(seconds=LAST_ANSWERS_SECONDS)
    memory.close()
    _say(f"stopped by {signal.Signals(stop).name}")
    return 0


def _unusable(sentence: str) -> int:
    _say(sentence)
    return EXIT_UNUSABLE


def _say(sentence: str) -> None:
    sys.stderr.write(f"chatbot: {sentence}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
