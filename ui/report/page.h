/*
 * The page of a report: the text before and after the data. scripts/embed-page.py makes it from ui/report/page/. Both
 * end with a zero byte.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UI_REPORT_PAGE_H
#define UI_REPORT_PAGE_H

extern const unsigned char report_head[];
extern const unsigned char report_tail[];

#endif
