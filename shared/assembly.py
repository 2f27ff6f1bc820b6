"""From settings to the parts that every service is made of. Called by each service's wsgi module.

settings, clock = load(), SystemClock()
observer = observing(load_observation(), settings, "commerce", clock)
database = open_database(settings, "commerce", CATALOGUE, clock, observer=observer)
edge = open_edge(settings, "commerce", clock, observer=observer)
condition = open_condition(settings, "commerce", database, edge, observer)
app = create_app(database, …, edge, condition)
"""

from collections.abc import Mapping

from shared.auth.delegations import Seal
from shared.auth.keys import SigningKeys, source_of
from shared.auth.subjects import SubjectOf, subjects
from shared.auth.tokens import TokenVerifier
from shared.clock import Clock
from shared.condition import Condition
from shared.observe.observer import Observer
from shared.settings import Settings
from shared.storage.access import Chore
from shared.storage.catalogue import Catalogue
from shared.storage.committer import CommitLimits
from shared.storage.database import JournalDatabase
from shared.storage.location import Beside, store_address
from shared.storage.objects import ObjectStore
from shared.storage.probe import probe
from shared.storage.s3 import S3Store
from shared.storage.state import DatabaseState, Thresholds
from shared.times import DAY_MS
from shared.web.log import RequestLog
from shared.web.service import Edge
from shared.writer import writer_name


def open_database(
    settings: Settings,
    service: str,
    catalogue: Catalogue,
    clock: Clock,
    *,
    chore: Chore | None = None,
    observer: Observer | None = None,
) -> JournalDatabase:
    """A service's documents; nothing is asked of the store before the first use, or look."""
    observer = observer or Observer(clock, settings.replica_directory)
    store = observer.store(S3Store(store_address(settings), clock, connections=settings.threads))
    prefix = f"{settings.store_prefix}{service}/"
    return JournalDatabase(
        store,
        catalogue,
        prefix=prefix,
        directory=settings.replica_directory / service,
        clock=clock,
        writer=writer_name(settings.container, clock),
        # Writers that wait for a stalled store leave half the threads to readers.
        limits=CommitLimits(waiting_max=settings.threads // 2),
        admit=lambda: probe(store, prefix, clock),
        chore=chore,
        archive_ms=settings.archive_days * DAY_MS or None,
        telemetry=observer.engine(service),
    )


def open_objects(
    settings: Settings,
    service: str,
    beside: Beside,
    clock: Clock,
    observer: Observer | None = None,
) -> tuple[ObjectStore, str]:
    """Where a service keeps objects beside its journal, and what their keys begin with."""
    observer = observer or Observer(clock, settings.replica_directory)
    address = store_address(settings, beside.protection)
    store = observer.store(S3Store(address, clock, connections=settings.threads))
    return store, f"{settings.store_prefix}{service}/{beside.folder}/"


def open_edge(
    settings: Settings,
    service: str,
    clock: Clock,
    *,
    subject_of: SubjectOf | None = None,
    observer: Observer | None = None,
    sign_in_failures: Mapping[tuple[str, int], str] | None = None,
) -> Edge:
    """A service's HTTP edge. Tokens have to be meant for `service`, by name. Callers are subjects
    of the service's own, unless `subject_of` says otherwise. `sign_in_failures` says which answers
    are failed sign-ins, by route and status, and of which kind.
    """
    observer = observer or Observer(clock, settings.replica_directory)
    keys = SigningKeys(source_of(settings.jwks), clock)
    verifier = TokenVerifier(
        keys,
        subject_of or subjects(settings.subject_key),
        clock,
        issuer=settings.issuer,
        audience=service,
        seal=Seal(settings.subject_key),
    )
    return Edge(
        verifier=verifier,
        request_key=settings.request_key,
        clock=clock,
        log=RequestLog(service, clock),
        body_bytes_max=settings.body_bytes_max,
        heard=observer.edge(sign_in_failures or {}),
        tracer=observer.tracer,
    )


def open_condition(
    settings: Settings,
    service: str,
    database: JournalDatabase,
    edge: Edge,
    observer: Observer | None = None,
) -> Condition:
    """How a service's process is, for /health and for measures; it begins to look, and with that
    the database is opened.
    """
    thresholds = Thresholds(settings.clock_seconds, settings.disk_free_mib)
    state = DatabaseState(database, edge.clock, thresholds)
    condition = Condition(edge.clock, state, edge.verifier.keys)
    condition.begin()
    if observer is not None:
        observer.watch(service, database, condition)
    return condition
