"""The machine's words as people read them, on the screens and in the commands alike; `--json` keeps the machine's.

Pure; imports nothing of the screens, for the commands start without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from amends.kernel.text import clean

CLOCK_NAMES: Final = {"ack": "ACK", "status": "UPDATE", "response": "FINAL", "promise": "PROM"}
"""Short names of the deadlines that every pack has; any other is shown by the first letters of its own."""
LETTER_NAMES: Final = {
    "acknowledgement": "Acknowledgement",
    "progress-update": "Progress update",
    "holding": "Holding letter",
    "final-response": "Final response",
    "status-answer": "Answer on the status",
    "too-large": "Mail too large",
    "pause": "Notice of a pause",
    "reply": "Letter",
    "staff-warning": "Warning to staff",
    "staff-escalation": "Escalation",
    "staff-digest": "Daily digest",
}
LETTER_STATES: Final = {
    "draft": "draft, not sent",
    "approval": "waits for approval",
    "queued": "on its way",
    "sending": "is leaving",
    "sent": "sent",
    "uncertain": "UNCERTAIN: nobody knows whether it arrived",
    "failed": "NOT DELIVERED",
    "bounced": "CAME BACK",
    "cancelled": "given up",
}


@lru_cache(maxsize=256)
def clock_name(kind: str | None) -> str:
    return "" if kind is None else CLOCK_NAMES.get(kind, clean(kind, limit=20).text.upper())


def letter_name(kind: str) -> str:
    """What kind of letter it is: `Acknowledgement`."""
    return LETTER_NAMES.get(kind) or clean(kind, limit=40).text


def letter_state(state: str) -> str:
    """What has become of a letter: `on its way`."""
    return LETTER_STATES.get(state) or clean(state, limit=40).text


def why_here(match: Mapping[str, Any]) -> str:
    """Why a message stands on its case, by what, and how far that can be trusted; empty where nobody had to decide."""
    because, case, evidence, confidence = (
        clean(str(match.get(name) or ""), limit=300).text for name in ("because", "case", "evidence", "confidence")
    )
    beside = [evidence] if evidence and evidence != case else []
    if case and confidence:
        beside.append(f"confidence {confidence}")
    return f"{because} ({', '.join(beside)})" if because and beside else because


def sentence(kind: str, data: Mapping[str, Any]) -> str:
    """One event as a person would tell it."""

    def said(key: str) -> str:
        value = data.get(key)
        return "" if value is None else clean(str(value), limit=200).text

    clock = clock_name(said("deadline")) if data.get("deadline") else ""
    if clock and data.get("pack") and said("deadline") != "promise":
        clock = f"{clock} ({said('pack')})"
    title = LETTER_NAMES.get(said("letter_kind") or said("letter"), said("letter_kind"))
    words = {
        "opened": f"case opened{' as history' if data.get('history') else ''}",
        "message": f"mail filed: {said('because')}"
        + (f" ({said('message_kind')})" if said("message_kind") != "person" else ""),
        "assessed": f"assessed: {said('severity')}" + (", particular care" if data.get("vulnerable") else ""),
        "assigned": f"given to {said('after') or 'nobody'}"
        + (f", from {said('before')}" if data.get("before") else ""),
        "note": "note added",
        "stage": f"{said('before')} → {said('after')}" + (f": {said('because')}" if data.get("because") else ""),
        "waiting": f"waiting {said('waiting')}",
        "resumed": f"waits no longer ({said('because')})",
        "closed": f"closed{': ' + said('outcome') if data.get('outcome') else ''}",
        "reopened": "reopened as a review",
        "responded": f"final response: {said('outcome')}",
        "letter-queued": f"letter written: {title}",
        "letter-sent": f"letter sent: {title}",
        "letter-called-back": f"letter called back: {title}",
        "letter-withheld": f"no {title or 'letter'} sent: {said('because')}",
        "letter-sent-again": "letter sent once more",
        "letter-written-anew": "letter that did not arrive written anew, to the address of now",
        "letter-settled": "uncertain letter: it arrived" if data.get("sent") else "letter given up",
        "letter-bounced": "letter came back",
        "letter-delayed": "letter is delayed",
        "letter-failed": "letter could not be delivered",
        "letter-uncertain": "nobody knows whether a letter arrived",
        "draft-discarded": f"draft thrown away: {title}",
        "deadline-met": f"{clock} met{', late' if data.get('late') else ''}",
        "deadline-breached": f"{clock} missed",
        "deadline-breach-corrected": f"{clock} was not missed: the letter had left in time",
        "deadline-cancelled": f"{clock} no longer owed: {said('because')}",
        "deadline-warning": f"warned of {clock}{', late' if data.get('late_seconds') else ''}",
        "letter-due": f"{title or 'letter'} for {clock} due{', found late' if data.get('late_seconds') else ''}",
        "update-not-needed": f"no letter by itself for {clock}: {said('because')}",
        "extension-granted": f"more time granted for {clock}, until {said('to')}",
        "extension-lapsed": f"no more time for {clock}: {said('because')}",
        "deadline-recounted": f"{clock} counted anew, as the calendar or its rules had changed",
        "deadline-put-back": f"{clock} is as it was before: {said('because')}",
        "deadline-extended": f"{clock} moved, approved by {said('approver')}",
        "involvement-allowed": f"{said('login')} may decide the review although involved before",
        "promised": f"promised until {said('to')}",
        "promise-lapsed": f"no clock for a promise until {said('to')}: {said('because')}",
        "pause-granted": f"a pause granted for {clock}, by {said('approver')}",
        "pause-lapsed": f"no pause for {clock}: {said('because')}",
        "deadline-paused": f"{clock} stands still, approved by {said('approver')}",
        "deadline-paused-on": f"{clock} stands still on",
        "deadline-resumed": f"{clock} goes on: {said('because')}",
        "fact": f"{said('fact').replace('_', ' ')} is {said('value')}",
        "happened": f"{said('event').replace('_', ' ')}",
        "event-recorded": f"recorded by hand: {said('event').replace('_', ' ')}",
        "deadlines-started": "clocks started",
        "escalated": f"supervisor told{': ' + clock if clock else ''}",
        "participant": "the complainant is known by their address"
        if data.get("role") == "complainant"
        else "somebody else wrote in",
        "participant-accepted": "a participant was accepted",
        "address-corrected": "address corrected",
        "address-blocked": f"no more automatic letters to an address: {said('because')}",
        "address-cleared": "automatic letters may go to the address again",
        "merged": f"merged into {said('into')}",
        "unmerged": f"taken out of {said('out_of')} again",
        "absorbed": f"took up {said('case')}",
        "released": f"gave {said('case')} back",
        "message-split": f"a message was split off{' into ' + said('to') if data.get('to') else ''}",
        "linked": f"linked with {said('case')} ({said('link')})",
        "unlinked": f"no longer linked with {said('case')}",
        "deadline-restored": f"{clock} owed again: {said('because')}",
    }.get(kind)
    return words.strip(" :") if words else clean(kind.replace("-", " "), limit=40).text
