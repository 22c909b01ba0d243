/* SPDX-License-Identifier: MIT */
/* A VM's context identifier, and the group in which it is reached by it. */
#include "description_parts.h"

static void complain_taken(struct check *check, int vm, int owner)
{
	const char *name = check->vms[owner].name;
	uint32_t cid = check->vms[vm].vsock;

	if (check_is_name(name, MULL_NAME_MAX))
		check_complain(check, vm, MULL_FIELD_VSOCK,
			       "has context identifier %u, and so has vm "
			       "\"%s\"",
			       cid, name);
	else
		check_complain(check, vm, MULL_FIELD_VSOCK,
			       "has context identifier %u, and so has VM "
			       "number %d",
			       cid, owner);
}

void check_vsock(struct check *check, int vm)
{
	const struct mull_vm *it = &check->vms[vm];
	bool grouped = check_any_set(it->vsock_group, sizeof it->vsock_group);

	if (grouped && !check_is_name(it->vsock_group, sizeof it->vsock_group))
		check_complain(check, vm, MULL_FIELD_VSOCK,
			       "the name of its vsock group is not 1 to %u of "
			       "a-z, 0-9 and -",
			       MULL_LABEL_MAX - 1);
	if (grouped && !it->vsock)
		check_complain(check, vm, MULL_FIELD_VSOCK,
			       "is in a vsock group without a context "
			       "identifier (cid)");
	if (!it->vsock)
		return;
	if (it->vsock < MULL_VSOCK_MIN || it->vsock > MULL_VSOCK_MAX) {
		check_complain(check, vm, MULL_FIELD_VSOCK,
			       "context identifier %u is not %u to %u",
			       it->vsock, MULL_VSOCK_MIN, MULL_VSOCK_MAX);
		return;
	}
	for (int other = 0; other < vm; other++) {
		if (!check_counts(check, other) ||
		    check->vms[other].vsock != it->vsock)
			continue;
		complain_taken(check, vm, other);
		return;
	}
}
