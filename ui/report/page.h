/*
 * The page of a report, as scripts/embed-page.py makes it of ui/report/: what is in front of the data, and what is
 * behind them. Both end with a zero byte.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_REPORT_PAGE_H
#define UI_REPORT_PAGE_H

extern const unsigned char report_head[];
extern const unsigned char report_tail[];

#endif
