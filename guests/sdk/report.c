/* SPDX-License-Identifier: MIT */
/* The one grammar in which test guests report. */
#include "sdk.h"

#define FAILURES_MAX 99 /* higher exit codes have other meanings */

static unsigned int passed_count;
static unsigned int failed_count;

void report(bool passed, const char *format, ...)
{
	char text[200];
	va_list values;

	va_start(values, format);
	format_text(text, sizeof text, format, values);
	va_end(values);
	if (passed)
		passed_count++;
	else
		failed_count++;
	print("%s %s\n", passed ? "PASS" : "FAIL", text);
}

int report_done(void)
{
	print("DONE %u %u\n", passed_count, failed_count);
	return (int)(failed_count < FAILURES_MAX ? failed_count : FAILURES_MAX);
}
