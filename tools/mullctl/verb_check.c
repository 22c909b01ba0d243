/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "manifest.h"
#include "status.h"
#include "texts.h"
#include "verbs.h"

int verb_check(const struct options *options)
{
	struct manifest manifest;
	enum status status = STATUS_MISTAKE;

	manifest_read(&manifest, options->operand);
	if (manifest.mistakes.count) {
		mistakes_print(&manifest.mistakes, manifest.file, stdout);
	} else {
		char *memory = texts_of_size(manifest_memory(&manifest));

		printf("%s: good: %zu VM%s, %s of memory, %u CPU%s, %zu "
		       "file%s\n",
		       manifest.file, manifest.vm_count,
		       manifest.vm_count == 1 ? "" : "s", memory,
		       manifest_cpus_needed(&manifest),
		       manifest_cpus_needed(&manifest) == 1 ? "" : "s",
		       manifest.image_count,
		       manifest.image_count == 1 ? "" : "s");
		free(memory);
		status = STATUS_OK;
	}
	manifest_free(&manifest);
	return status;
}
