/* SPDX-License-Identifier: MIT */
#include "manifest_yaml.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "texts.h"

int yaml_line(const yaml_node_t *node)
{
	return (int)node->start_mark.line + 1;
}

yaml_node_t *yaml_node(struct reader *reader, yaml_node_item_t item)
{
	return yaml_document_get_node(reader->document, item);
}

void yaml_wrong(struct reader *reader, const struct word *word,
		const yaml_node_t *value, const char *what)
{
	manifest_complain(reader->manifest, reader->vm, yaml_line(value),
			  word->field, "%s is not %s", word->name, what);
}

/* ---- mappings ----------------------------------------------------------- */

static const struct word *find_word(const struct word *words, const char *name)
{
	for (; words->name; words++)
		if (strcmp(words->name, name) == 0)
			return words;
	return NULL;
}

/* The word that was probably meant: one letter in three may be wrong, and
 * the beginning of a word may stand for it. */
static const char *meant(const struct word *words, const char *name)
{
	size_t length = strlen(name), best = length / 3 + 1;
	const char *found = NULL;

	for (; words->name; words++) {
		size_t distance = texts_distance(name, words->name);

		if (length >= 3 && strncmp(name, words->name, length) == 0)
			distance = 0;
		if (distance <= best && distance < strlen(words->name)) {
			best = distance;
			found = words->name;
		}
	}
	return found;
}

static void complain_unknown(struct reader *reader, const yaml_node_t *key,
			     const struct word *words, const char *what,
			     const char *name)
{
	const char *close = meant(words, name);

	manifest_complain(reader->manifest, reader->vm, yaml_line(key),
			  MULL_FIELD_FLAGS,
			  "unknown word \"%.60s\" in %s%s%s%s", name, what,
			  close ? " (did you mean \"" : "", close ? close : "",
			  close ? "\"?)" : "");
}

static const char *key_text(const yaml_node_t *key)
{
	return key && key->type == YAML_SCALAR_NODE &&
			       strlen((const char *)key->data.scalar.value) ==
				       key->data.scalar.length ?
		       (const char *)key->data.scalar.value :
		       NULL;
}

/* Whether the pair's word stands before it in the mapping, too. */
static bool is_repeated(struct reader *reader, yaml_node_t *node,
			const yaml_node_pair_t *pair, const char *name)
{
	for (yaml_node_pair_t *other = node->data.mapping.pairs.start;
	     other < pair; other++) {
		const char *text = key_text(yaml_node(reader, other->key));

		if (text && strcmp(text, name) == 0)
			return true;
	}
	return false;
}

static void take_pair(struct reader *reader, yaml_node_t *node,
		      const yaml_node_pair_t *pair, const struct word *words,
		      const char *what)
{
	yaml_node_t *key = yaml_node(reader, pair->key);
	yaml_node_t *value = yaml_node(reader, pair->value);
	const char *name = key_text(key);
	const struct word *word = name ? find_word(words, name) : NULL;
	struct manifest_place *place =
		reader->vm < 0 ? &reader->manifest->machine_place :
				 &reader->manifest->places[reader->vm];

	if (!word) {
		complain_unknown(reader, key, words, what, name ? name : "?");
		return;
	}
	if (is_repeated(reader, node, pair, name)) {
		manifest_complain(reader->manifest, reader->vm, yaml_line(key),
				  word->field, "%s stands twice in %s", name,
				  what);
		return;
	}
	place->lines[word->field] = yaml_line(key);
	word->take(reader, word, value);
}

bool yaml_take_words(struct reader *reader, yaml_node_t *node,
		     const struct word *words, const char *what)
{
	yaml_node_pair_t *pair;

	if (node->type != YAML_MAPPING_NODE) {
		manifest_complain(reader->manifest, reader->vm, yaml_line(node),
				  MULL_FIELD_FLAGS,
				  "%s is not a mapping of words to values",
				  what);
		return false;
	}
	for (pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++)
		take_pair(reader, node, pair, words, what);
	return true;
}

/* ---- values ------------------------------------------------------------- */

const char *yaml_text(struct reader *reader, const struct word *word,
		      yaml_node_t *value)
{
	const char *text = key_text(value);

	if (!text)
		yaml_wrong(reader, word, value, "a text");
	return text;
}

bool yaml_size(struct reader *reader, const struct word *word,
	       yaml_node_t *value, uint64_t *size)
{
	const char *text = key_text(value);

	if (text && texts_to_size(text, size))
		return true;
	yaml_wrong(reader, word, value, "a size such as 512MiB");
	return false;
}

bool yaml_number(struct reader *reader, const struct word *word,
		 yaml_node_t *value, uint32_t least, uint32_t most,
		 uint32_t *number)
{
	const char *text = key_text(value);
	uint64_t wide;
	char *what;

	if (text && texts_to_number(text, &wide) && wide >= least &&
	    wide <= most) {
		*number = (uint32_t)wide;
		return true;
	}
	what = texts_format("a number from %u to %u", least, most);
	yaml_wrong(reader, word, value, what);
	free(what);
	return false;
}

bool yaml_bool(struct reader *reader, const struct word *word,
	       yaml_node_t *value, bool *yes)
{
	const char *text = key_text(value);

	if (text &&
	    (strcasecmp(text, "true") == 0 || strcasecmp(text, "yes") == 0)) {
		*yes = true;
		return true;
	}
	if (text &&
	    (strcasecmp(text, "false") == 0 || strcasecmp(text, "no") == 0)) {
		*yes = false;
		return true;
	}
	yaml_wrong(reader, word, value, "true or false");
	return false;
}

bool yaml_choice(struct reader *reader, const struct word *word,
		 yaml_node_t *value, const char *const *choices,
		 uint32_t *index)
{
	const char *text = key_text(value);
	char what[80] = "one of";

	for (uint32_t i = 0; choices[i]; i++) {
		if (text && strcmp(text, choices[i]) == 0) {
			*index = i;
			return true;
		}
		strncat(what, i ? ", " : " ", sizeof what - strlen(what) - 1);
		strncat(what, choices[i], sizeof what - strlen(what) - 1);
	}
	yaml_wrong(reader, word, value, what);
	return false;
}
