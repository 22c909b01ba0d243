/* SPDX-License-Identifier: MIT */
#include "parts.h"

int mull_plug(struct mull *mull, uint32_t vm, const struct mull_disk *disk,
	      uint32_t *number)
{
	struct mull_answer answer;
	int error = mull_request(mull, MULL_COMMAND_PLUG, vm, 0, disk,
				 sizeof *disk, &answer);

	if (!error && number)
		*number = (uint32_t)answer.value;
	return error;
}

int mull_plug_nic(struct mull *mull, uint32_t vm, const struct mull_nic *nic,
		  uint32_t *number)
{
	struct mull_answer answer;
	int error = mull_request(mull, MULL_COMMAND_PLUG_NIC, vm, 0, nic,
				 sizeof *nic, &answer);

	if (!error && number)
		*number = (uint32_t)answer.value;
	return error;
}

int mull_unplug(struct mull *mull, uint32_t vm, uint32_t number)
{
	return mull_ask(mull, MULL_COMMAND_UNPLUG, vm, number, NULL);
}

int mull_disks(struct mull *mull, uint32_t vm,
	       struct mull_disk_status disks[MULL_DISK_MAX], size_t *count)
{
	int error = mull_ask_list_of(mull, MULL_COMMAND_DISKS, vm, disks,
				     sizeof *disks, MULL_DISK_MAX, count);

	for (size_t i = 0; i < *count; i++) {
		mull_clean(disks[i].words, sizeof disks[i].words);
		mull_clean(disks[i].disk.partition,
			   sizeof disks[i].disk.partition);
		mull_clean(disks[i].disk.overlay, sizeof disks[i].disk.overlay);
	}
	return error;
}

int mull_vm_nics(struct mull *mull, uint32_t vm,
		 struct mull_vm_nic_status nics[MULL_NIC_MAX], size_t *count)
{
	int error = mull_ask_list_of(mull, MULL_COMMAND_VM_NICS, vm, nics,
				     sizeof *nics, MULL_NIC_MAX, count);

	for (size_t i = 0; i < *count; i++) {
		mull_clean(nics[i].words, sizeof nics[i].words);
		mull_clean(nics[i].nic.network, sizeof nics[i].nic.network);
	}
	return error;
}
