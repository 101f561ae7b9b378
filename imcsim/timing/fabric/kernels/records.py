"""A chip as one array of integers, `m`, and what stands where in it.

Its things are records in it and know each other by their address: ``m[thing + FIELD]``, where 0 stands for
none. All records to which something can happen begin alike: one event ahead on the wheel at most, and a place
in the list of what is to be looked at before the cycle ends.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcsim.timing.processes.row_kernels import NEVER as NEVER

Memory = NDArray[np.int64]

# The head of the memory: figures of the chip, addresses of what there is once, how far the play has come.
(
    G_FLIT_BITS, G_LOAD, G_KEEPS, G_TIMED, G_GATED, G_TELLS_ENTERED, G_IMAGE_BITS,
    G_IMAGE_PLACE, G_GLOBAL_WRITE_PLACE, G_GLOBAL_READ_PLACE, G_COUNTS, G_SCRATCH, G_WHEEL, G_BUCKETS,
    G_PARTS, G_PARTS_END, G_IMAGES, G_IMAGES_END, G_ANSWERS, G_ANSWERS_END, G_STAGES, G_EDGES, G_WORK_AT,
    G_JOBS, G_RING, G_POWERED, G_ISSUED, G_SEEN_JOBS, G_LIVE, G_WOKEN, G_DECIDING, G_TELL, G_WANTED,
    G_FREE_ANSWERS, G_LINK_CYCLES, G_PACKAGE_CYCLES, G_POWERED_ROWS, G_FAILED, G_RATE_UNIT,
    G_SIZE,
) = range(1, 41)  # fmt: skip

# Every record. On the wheel: the next one in the bucket, and the cycle.
NEXT, DUE, KIND, WOKEN = range(4)
SENDER, IMAGE, PART, SLOT, LINK = range(5)
LAST = -1
"""Ends lists of records that are linked by themselves."""

# A stream of rows: a sender (the image's have no output), and room and rows at the receiver (0: the checker).
# `S_VALID` to `S_VALID_END`: rows that are not void of each map under way; `S_COME` is being received and
# `S_LET` freed, so many rows of it. Rows are worked on `S_DELAY` timesteps later, and freed `S_LAG` jobs
# later: so many void maps have come before the first job. If two ask for a link at once, the lower address
# goes first. `S_ROUTERS`, `S_PITCHES`, `S_LINKS`: routers on its way, sides of a tile, links between chips.
(
    S_HOP, S_PATH_END, S_FLITS, S_ASKED, S_BEFORE, S_BEHIND, S_PHASE, S_TARGET, S_OUTPUT, S_ENTRY, S_PATH,
    S_ROOM, S_TOTAL, S_FREED, S_HEIGHT, S_VALID, S_VALID_END, S_COME, S_COME_ROWS, S_LET, S_LET_ROWS, S_SENT,
    S_HOPS_PLACE, S_MOVED_PLACE, S_WRITE_PLACE, S_BITS, S_JOB, S_ROW, S_DELAY, S_LAG,
    S_ROUTERS, S_PITCHES, S_LINKS, S_LINKS_PLACE, S_SIZE,
) = range(4, 39)  # fmt: skip
IDLE, FOR_PLACE, FLYING, LOADING = range(4)

# A link: when it falls free, whether a decision is due, the packets that ask for it, the cycles of a head; of
# one between chips the bits that it carries in `G_RATE_UNIT` cycles, 0 of others.
L_FREE, L_ASKED, L_FIRST, L_LAST, L_CYCLES, L_RATE, L_SIZE = range(4, 11)

# A stream that a part puts out: the streams to its receivers, and the rows that wait for them. `O_GONE`: own
# bands that it needs no more; `O_TURN`: own bands of all jobs of which every row has been delivered.
# `O_BAND`: own rows of a band, 1 where it leaves as a whole.
(
    O_PART, O_HEIGHT, O_OWN, O_STRIDE, O_PADDING, O_AFTER, O_STREAMS, O_STREAMS_END, O_QUEUE, O_QUEUE_END,
    O_ENTRY, O_BITS, O_EDGE, O_FIRST, O_CHANNELS, O_EDGE_CHANNELS, O_SHARE, O_COPIES, O_EVENT_BITS,
    O_PUT, O_DELIVERED, O_DELIVERED_ROWS, O_TURN, O_GONE, O_BAND, O_SIZE,
) = range(26)  # fmt: skip
QUEUE_JOB, QUEUE_BITS, QUEUE_LEFT, QUEUE_SIZE = range(4)
AFTER_FIRST, AFTER_COUNT, AFTER_POOL, AFTER_SIZE = range(4)

# A part. Counts: addresses of lists of places and numbers (see `add_counts`), for rows not stored and stored,
# of first and later timesteps. `P_HELD` to `P_HELD_END`: rows that hold
# a place of each job under way, of which `P_HOLD` is being played and `P_LET` released. `P_FIRE_ROWS`: for
# each own row the rows of neurons behind a pool of currents that it completes, and their cycles (0: no pool).
# `P_BEGUN_PLACE`, `P_ENDED_PLACE`: where, behind a job's counts, its layer's first and last cycle stand, + 1.
# `P_TURNS`: turns of an input bit; `P_TURNS_OF`: where those of each block stand. What is called a row of a
# part is a band of `P_BAND` rows, on which its copies work at once. `P_ENDED`: rows that have left, void
# ones too; `P_LEFT`: those of them that had begun; `P_LEFT_JOB`: the job of the row that leaves next.
(
    P_HEAD, P_FIRES, P_KEEPS, P_ROWS, P_PLANES, P_SENSE, P_TREE, P_COPIES, P_BLOCKS, P_WAVES, P_WAVE_COUNT,
    P_INPUTS, P_INPUTS_END, P_INPUT_HEIGHT, P_INPUT_IMAGE, P_ROW_TABLE, P_PARTIALS, P_PARTIALS_END,
    P_RESIDUALS, P_RESIDUALS_END, P_OUTPUTS, P_OUTPUTS_END, P_TILE, P_STAGE, P_POOL_VALUES, P_POOL_PLACE,
    P_SLOTS, P_SLOT_COUNT, P_WIDTH, P_POSITIONS, P_ALL_COPIES, P_COPY0, P_ALL_BLOCKS, P_BLOCK0, P_COUNTS,
    P_RUNS, P_RUNS_END, P_TIMES, P_JOB, P_ROW, P_PHASE, P_FETCHED, P_FREED, P_ROOM,
    P_ENDED, P_RELEASED, P_PLAYED, P_BEGUN, P_SETTLED, P_WAITING, P_SEEN, P_HELD, P_HELD_END, P_HOLD, P_LET,
    P_LET_ROWS, P_UNSOLVED, P_FIRE_ROWS, P_FIRE_COUNTS, P_FIRE_FREE, P_BEGUN_PLACE, P_ENDED_PLACE, P_TURNS,
    P_TURNS_OF, P_BAND, P_CONVERT, P_SETS, P_LEFT, P_LEFT_JOB, P_SIZE,
) = range(4, 74)  # fmt: skip
NEXT_JOB, NEXT_ROW, FOR_ROOM, FOR_INPUT, FOR_FETCH = range(5)

# Row blocks of a part, one after the other, whose reads count the same: how many, their reads in a row, the
# counts of a read and of one left out, and the reads of the row that is being played.
RUN_BLOCKS, RUN_ALL, RUN_COUNTS, RUN_SKIP_COUNTS, RUN_READS, RUN_SIZE = range(6)

# A row under way, the `Q_NUMBER`-th of its part: `Q_ALIVE` until it leaves.
(
    Q_PART, Q_JOB, Q_ROW, Q_STORED, Q_READY, Q_SIDES, Q_TOLD, Q_BEGAN, Q_OUTPUT, Q_ALIVE, Q_NUMBER, Q_SIZE,
) = range(4, 16)  # fmt: skip
TOLD_FETCHED, TOLD_DONE, TOLD_POWERED, TOLD_READS, TOLD_FIRED, TOLD_ENDED = 1, 2, 4, 8, 16, 32

J_TIMESTEP, J_MAP, J_CANCELLED, J_SLOT, J_BEFORE, J_SIZE = range(6)
