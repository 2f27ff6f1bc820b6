"""Under which conditions the figures were taken: what a reader has to know to believe them."""

MARKDOWN = """\
- **Python** is the one of the image where it says 3.14: built with profile-guided optimisation, as
  Debian and Python's own images build it, in a root of Debian beside the machine's. What says
  3.11.7 was measured with a plain build, which takes half as long again for what is Python alone; a
  request over HTTP, most of which is the kernel's and C, takes a tenth longer.
- **Two processors**: what is of 24 and 25 November ran on another one than the rest, whose kernel
  and Python are both quicker. Only what is of one run is compared.
- **The peer** is the same service with its domain rules unchanged, storing into PostgreSQL 18 over
  a Unix socket through SQLAlchemy Core and psycopg 3: prepared statements, a connection for each
  caller, 1 GB of shared buffers, no jit, a hot row's pages left half empty. One transaction writes
  the idempotency key, the order, its parts, its lines and the stock. It writes no events and keeps
  no history; ours does both. After each run its stock and its orders have to agree.
- **Stock** is taken there by `SELECT … FOR UPDATE` (lock) or by `UPDATE … WHERE on_hand >= quantity
  RETURNING` (conditional). Both run; ours is compared with the faster.
- **Best shape**: each side runs with the number of processes and callers or threads that did best
  in a short round before; the tables say which. In-process, callers of ours are greenlets of one
  thread, as requests are in a service; those of the peer, whose driver blocks, are threads. Orders
  have one line, by 200 citizens, each under an idempotency key of its own: a UUIDv7, as the manual
  asks of apps, which the peer's index is in the order of as well. Those without a time are 128
  random bits.
- **Durability** is matched. As the platform configures it, SeaweedFS answers once the page cache
  has the object; PostgreSQL ran with `fsync`, `synchronous_commit` and `full_page_writes` off. What
  either acknowledged survives the end of any process, not a power cut.
- **Flushed** is PostgreSQL with its defaults (`fsync` and `synchronous_commit` on) and SeaweedFS
  calling fsync on its volume for each object (`fs.configure -fsync`). SeaweedFS cannot be told to
  flush its index of names as well, so there ours promises a little less than PostgreSQL does.
- **HTTP** is gunicorn as the platform runs it, but for the peer, whose driver blocks: threads serve
  it, as greenlets would wait for each other. wrk asks over 64 connections on the same machine, with
  ES256 tokens and no limit of orders a minute. Every answer was
  2xx, or the run would have failed. Half as many writers may wait in a process as it has threads,
  so 64 writers are given 128. A crowd is twice as many connections, to twice as many threads.
- **Storing nothing** is the same route with an action that computes the order and keeps nothing.
- **Containers** on one journal are processes with a replica each, in-process, over Ceph 16
  (monitor, manager, one OSD without copies, its gateway, all on the same two cores), 64 callers
  each. Fairness is the slowest container's orders to the mean, in the worst ten seconds. With
  affinity one of them has everybody's callers.
- **Documents**, in the last part, are orders of one line and their stores' rows, half of each, 25
  orders a citizen, beside a thousand products with their stock. One caller asks, of all sizes in
  turn; reading and lists are of the replica alone, placing waits for SeaweedFS. A process opens on
  an existing replica (restart) or in an empty directory (cold start: the newest snapshot and what
  was written since), through a line of one gigabit a second, until it says that it is ready. Its
  memory is the peak until then.
- **The image** is built by the Dockerfile over Debians that stand for Python's own images, and run
  read-only by a Docker on the same two cores, with a SeaweedFS beside it that has an empty bucket.
- **The file** that the gateway is compared with comes from the same nginx, with one worker and an
  access log. **nginx's cache alone** is that nginx before the same service, with a cache, a pool of
  the gateway's size for each request, and nothing else: no limits, languages, headers or checks.
  A compressed list is compared with a file of the same compressed bytes.
"""
