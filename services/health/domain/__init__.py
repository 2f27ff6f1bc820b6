"""Health: what desks, doctors, sessions and appointments are, and which changes are allowed.

Pure Python on plain documents. Functions take bodies as they stand, and either change them or
raise `Refused` with one of the problems in `problems`. Here: the collections and their bounds.

The law of places: free + booked + checked in + no show = places, in every slot, none below zero,
at every entry. And of patients: nobody has two appointments that overlap, wherever they are, nor
two with one department on one day.

An appointment names no person and nothing about an illness: account and patient are subject ids.
They are one, also where somebody acts for the patient (`acts`); rules about people go by the
patient, rights to an appointment by the account.

What a hospital's staff change says who it was: `by`, a subject, on what they alone change (of a
session: who stopped it; of a slot: who moved it), and in the events of appointments. It is for the
journal's readers, and is shown to nobody.
"""

from shared.storage.catalogue import Archive, Catalogue, Collection, Conserved, Index

CATALOGUE = Catalogue(
    # A hospital's appointments desk: that it takes bookings at all, and its limits. By hospital.
    Collection("desks"),
    # Who works at a desk, by hospital and subject.
    Collection("staff"),
    Collection("departments", indexes=(Index("departments_by_hospital", ("hospital",)),)),
    Collection("doctors", indexes=(Index("doctors_by_department", ("department",)),)),
    # What was published at once: the pattern, and the sessions that came of it.
    Collection("publications"),
    # A doctor's session with the counters of all its slots (docs/decisions/0050).
    Collection(
        "sessions",
        indexes=(
            Index("sessions_by_department", ("department", "date")),
            Index("sessions_by_doctor", ("doctor", "date")),
        ),
        conserved=Conserved("places", ("free", "booked", "checked_in", "no_show"), each="slots"),
    ),
    Collection(
        "appointments",
        indexes=(
            Index("appointments_by_account", ("account",)),
            # Those to come are counted: how many one account can have is bounded.
            Index("appointments_to_come", ("account", "state", "end_ms")),
            Index("appointments_by_session", ("session", "state", "slot")),
        ),
        archive=Archive(since="end_ms", list="appointments_by_account"),
    ),
    # A patient's day, by patient and date: all appointments on it that hold a place.
    Collection("days"),
    # When a patient did not come to a hospital, by patient and hospital, while that can count.
    Collection("absences"),
)

STATES = ("booked", "checked_in", "no_show", "cancelled")
"""What an appointment can be; all but the last hold a place."""

SESSION_STATES = ("open", "stopped")

SLOTS_MAX = 48
"""Slots of one session."""

SLOT_PLACES_MAX = 20
"""Places of one slot."""

SESSION_PLACES_MAX = 200
"""Places of one session: stopping it changes as many appointments in one transaction."""

DAY_SESSIONS_MAX = 60
"""Sessions of one department on one day, so that two weeks of it are one bounded read."""

PUBLISHED_DAYS_MAX = 31
"""Days from the first to the last of one publication: one transaction, however many slots."""

AVAILABILITY_DAYS_MAX = 14

TO_COME_MAX = 20
"""Appointments to come that one account can have: nobody hoards doctors' hours."""

ABSENCES_MAX = 50
"""No-shows that are remembered of one patient at one hospital, the latest ones."""
