"""Expectations: each says what was got and what was expected when it fails."""

import time


class Failed(Exception):
    """An expectation that does not hold."""


def equal(actual, expected, what):
    if actual != expected:
        raise Failed(f"{what}:\n  expected {short(expected)}\n  got      {short(actual)}")


def true(condition, what):
    if not condition:
        raise Failed(what)


def raises(kinds, action, what):
    """Runs the action, which must fail with one of the kinds of error. Returns that error."""
    try:
        outcome = action()
    except kinds as error:
        return error
    raise Failed(f"{what}: expected an error, got {short(outcome)}")


def soon(condition, what, seconds=20):
    """Asks until the condition holds. Returns what it returned."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        outcome = condition()
        if outcome:
            return outcome
        time.sleep(0.05)
    raise Failed(f"not within {seconds} s: {what}")


def short(value):
    text = repr(value)
    return text if len(text) <= 1500 else text[:1500] + f"... ({len(text)} characters)"
