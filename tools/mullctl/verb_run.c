/* SPDX-License-Identifier: MIT */
#include "run_plan.h"
#include "session.h"
#include "work.h"

int verb_run(const struct options *options)
{
	struct run_plan plan;
	enum status status = run_plan_make(&plan, options);

	if (status == STATUS_OK) {
		work_begin();
		status = run_plan_pack(&plan, options);
		if (status == STATUS_OK)
			status = session_run(&plan);
		work_end();
	}
	run_plan_free(&plan);
	return status;
}
