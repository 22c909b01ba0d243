/* SPDX-License-Identifier: MIT */
/* The word "cache" of a VM. */
#include <stdlib.h>
#include <string.h>

#include "manifest_yaml.h"
#include "texts.h"

static struct mull_vm *this_vm(struct reader *reader)
{
	return &reader->manifest->vms[reader->vm];
}

/* A mask of ways has 32 bits at most, and one is everybody else's. */
static void take_ways(struct reader *reader, const struct word *word,
		      yaml_node_t *value)
{
	uint32_t ways;

	if (yaml_number(reader, word, value, 1, 31, &ways))
		this_vm(reader)->cache_ways = (uint16_t)ways;
}

static void take_code_ways(struct reader *reader, const struct word *word,
			   yaml_node_t *value)
{
	uint32_t ways;

	if (yaml_number(reader, word, value, 1, 30, &ways))
		this_vm(reader)->cache_code_ways = (uint16_t)ways;
}

/* @number is the text before @unit, which ends it: "50" of "50%". */
static bool number_before(const char *text, const char *unit, uint64_t *number)
{
	size_t length = strlen(text), tail = strlen(unit);
	bool good = false;
	char *digits;

	if (length <= tail || strcmp(text + length - tail, unit) != 0)
		return false;
	digits = texts_format("%.*s", (int)(length - tail), text);
	good = texts_to_number(digits, number) && *number;
	free(digits);
	return good;
}

static void take_bandwidth(struct reader *reader, const struct word *word,
			   yaml_node_t *value)
{
	const char *text = yaml_text(reader, word, value);
	struct mull_vm *vm = this_vm(reader);
	uint64_t number;

	if (!text)
		return;
	if (number_before(text, "%", &number) && number <= 100)
		vm->bandwidth_percent = (uint32_t)number;
	else if (number_before(text, "MB/s", &number) && number <= UINT32_MAX)
		vm->bandwidth_rate = (uint32_t)number;
	else if (number_before(text, "GB/s", &number) &&
		 number <= UINT32_MAX / 1000)
		vm->bandwidth_rate = (uint32_t)number * 1000;
	else
		yaml_wrong(reader, word, value,
			   "a share up to 100% or a rate such as 8GB/s (MB/s "
			   "or GB/s)");
}

/* The words of other hypervisors for what is divided by addresses. */
static void refuse_colours(struct reader *reader, const struct word *word,
			   yaml_node_t *value)
{
	manifest_complain(reader->manifest, reader->vm, yaml_line(value),
			  word->field,
			  "memory has no cache colours here, since a frame of "
			  "2 MiB has all of them: say \"ways\", which needs a "
			  "processor that has Cache Allocation Technology");
}

static const struct word cache_words[] = {
	{ "ways", MULL_FIELD_CACHE, take_ways },
	{ "code-ways", MULL_FIELD_CACHE, take_code_ways },
	{ "bandwidth", MULL_FIELD_CACHE, take_bandwidth },
	{ "colours", MULL_FIELD_CACHE, refuse_colours },
	{ "colors", MULL_FIELD_CACHE, refuse_colours },
	{ NULL, 0, NULL },
};

void take_cache(struct reader *reader, const struct word *word,
		yaml_node_t *value)
{
	struct mull_vm *vm = this_vm(reader);
	const size_t said = reader->manifest->mistakes.count;

	if (!yaml_take_words(reader, value, cache_words, "cache") ||
	    reader->manifest->mistakes.count != said)
		return;
	if (!cache_is_wanted(vm))
		yaml_wrong(reader, word, value,
			   "a mapping of ways, code-ways and bandwidth");
}
