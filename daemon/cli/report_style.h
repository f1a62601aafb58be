/* The style of a report, of report_style.css. */
#pragma once

extern const char report_style[];
