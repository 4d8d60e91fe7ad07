/*
 * What bounds the work and the memory that a hostile image can ask for, apart from its size.
 *
 * The limits of the format are in block/qcow2/format/format.h. The table in docs/devel/security.rst explains these, and
 * names their tests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_LIMITS_H
#define BLOCK_LIMITS_H

#include <stdint.h>

/* Messages. */
#define LIMIT_MESSAGES             UINT64_C(1000000) /* of one image, unless the user wants all */
#define LIMIT_EXAMINED_PER_MESSAGE 16                /* references examined one by one for each of them */
#define LIMIT_MESSAGE_BYTES        512               /* of a message; a longer one counts as several */

/* Lists of findings. */
#define LIMIT_FINDINGS        100000
#define LIMIT_FINDING_TEXT    256                  /* bytes of message and names for each, on average */
#define LIMIT_OTHER_USERS     64                   /* named for one finding */
#define LIMIT_ALL_OTHER_USERS (UINT64_C(1) << 18)  /* named for all findings */
#define LIMIT_USERS           65536                /* found of one cluster: those with the lowest offsets */
#define LIMIT_USERS_EXAMINED  (UINT64_C(16) << 20) /* for all findings */

/* Reading and counting. */
#define LIMIT_REGION_CLUSTERS (UINT64_C(1) << 36) /* of one region; only an encryption header claims so many */
#define LIMIT_UNALIGNED_L2    8                   /* unaligned L2 tables that are read over one byte of the file */
#define LIMIT_FAILED_READS    1024                /* pages of L1 and bitmap tables that are read one by one */
#define LIMIT_COMPRESSED      (UINT32_C(1) << 19) /* compressed clusters that are verified in one go */

/* What is shown. */
#define LIMIT_FREE_ENTRIES    (UINT64_C(4) << 20) /* of tables in the viscera that are not held by the file */
#define LIMIT_LOOKS_PER_ENTRY 4                   /* at an entry that is held: so many tables may show it */
#define LIMIT_MAPPINGS        (UINT32_C(1) << 19) /* of host to guest clusters; of more, one in 2, 4, 8... is kept */
#define LIMIT_REPORT_RUNS     (UINT32_C(1) << 20) /* of clusters with the same role, in a report */
#define LIMIT_REPORT_PLACES   (UINT32_C(5) << 18) /* of tables: a million L2 tables, and what else there is then */
#define LIMIT_REPORT_FINDINGS 10000u

#endif
