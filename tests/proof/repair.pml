/*
 * A repair that is broken off at any moment, and then another (docs/devel/proof.rst).
 *
 * prove.d/repair-order writes facts.pml: the references that the listing of "check -r all -n" changes, the
 * counts, and the order of its steps. Between two steps there is a flush. The writes of a step reach the disk in any
 * order; a crash loses those that have not. What is on the disk then is what the next repair begins with.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/* What a step does; order[] has the steps of this repair. */
#define FILL   0 /* writes new structures and copies, where nothing lies */
#define RAISE  1 /* raises counts */
#define SWITCH 2 /* switches references over */
#define LOWER  3 /* lowers counts */
#define PUNCH  4 /* gives back the space of free clusters */

#define NOTHING 0 /* bytes that nobody has written, or that are gone */

#include "facts.pml"
/* REFS, CLUSTERS, STEPS, and of each reference and cluster that the listing names: */
/* old[], new[]  the cluster that the reference names before and after                 */
/* others[]      references to the cluster that do not change                          */
/* target[]      its count when all is done                                            */
/* lacking[]     by how much its count was too low at first                            */
/* freed[]       whether its space is given back                                       */
/* ALL_REFS(p) and ALL_CLUSTERS(p): whether p(i) is true of all of them                */

/* The disk. Bytes with the same number are the same to a guest. */
byte ref[REFS];
byte count[CLUSTERS];
byte content[CLUSTERS];

byte view[REFS]; /* what a guest read through the reference at first */
byte step, crashes, i, k, users;

#ifdef NO_FLUSH
#define now(kind) true
#else
#define now(kind) (step < STEPS && order[step] == kind)
#endif

#define must_fill(r)   (ref[r] != new[r] && content[new[r]] != content[old[r]])
#define must_switch(r) (ref[r] != new[r])
#define must_raise(c)  (count[c] < target[c])
#define must_lower(c)  (count[c] > target[c])
#define must_punch(c)  (freed[c] && content[c] != NOTHING)

/* Every guest reads what it read, and no count is too low that was not, or by more than it was. */
inline check_disk()
{
    for (i : 0 .. REFS - 1) {
        assert(content[ref[i]] == view[i])
    }
    for (i : 0 .. CLUSTERS - 1) {
        users = others[i];
        for (k : 0 .. REFS - 1) {
            users = users + (ref[k] == i)
        }
        assert(count[i] + lacking[i] >= users)
    }
    i = 0; k = 0; users = 0
}

proctype reference(byte r)
{
end:
    do
    :: d_step { now(FILL) && must_fill(r) -> content[new[r]] = content[old[r]]; check_disk() }
    :: d_step { now(SWITCH) && must_switch(r) -> ref[r] = new[r]; check_disk() }
    od
}

proctype cluster(byte c)
{
end:
    do
    :: d_step { now(RAISE) && must_raise(c) -> count[c] = target[c]; check_disk() }
    :: d_step { now(LOWER) && must_lower(c) -> count[c] = target[c]; check_disk() }
    :: d_step { now(PUNCH) && must_punch(c) -> content[c] = NOTHING; check_disk() }
    od
}

#define reference_rests(r) (!(now(FILL) && must_fill(r)) && !(now(SWITCH) && must_switch(r)))
#define cluster_rests(c) \
    (!(now(RAISE) && must_raise(c)) && !(now(LOWER) && must_lower(c)) && !(now(PUNCH) && must_punch(c)))

init {
    d_step {
        set_up();
        for (i : 0 .. REFS - 1) {
            ref[i] = old[i];
            view[i] = content[old[i]]
        }
        i = 0;
        check_disk()
    }
    atomic {
        for (i : 0 .. REFS - 1) { run reference(i) }
        for (i : 0 .. CLUSTERS - 1) { run cluster(i) }
        i = 0
    }
    do
    :: atomic { step < STEPS && ALL_REFS(reference_rests) && ALL_CLUSTERS(cluster_rests) -> step++ } /* a flush */
    :: atomic { step < STEPS && crashes < CRASHES -> crashes++; step = 0 }
    :: step == STEPS -> break
    od;
    /* The last repair has ended, and has left nothing to do. */
    for (i : 0 .. REFS - 1) {
        assert(ref[i] == new[i])
    }
    for (i : 0 .. CLUSTERS - 1) {
        assert(count[i] == target[i])
    }
}
