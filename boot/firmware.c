/* SPDX-License-Identifier: MIT */
#include "firmware.h"

#include <mullion/bits.h>

EFI_SYSTEM_TABLE *firmware;

/* UEFI 2.10, "EFI_STATUS Error Codes (High Bit Set)" */
const char *firmware_words(EFI_STATUS status)
{
	static const struct {
		EFI_STATUS status;
		const char *words;
	} known[] = {
		{ EFI_SUCCESS, "success" },
		{ EFI_LOAD_ERROR, "load error" },
		{ EFI_INVALID_PARAMETER, "invalid parameter" },
		{ EFI_UNSUPPORTED, "not supported" },
		{ EFI_BAD_BUFFER_SIZE, "bad buffer size" },
		{ EFI_BUFFER_TOO_SMALL, "buffer too small" },
		{ EFI_NOT_READY, "not ready" },
		{ EFI_DEVICE_ERROR, "device error" },
		{ EFI_OUT_OF_RESOURCES, "out of memory" },
		{ EFI_VOLUME_CORRUPTED, "the file system is damaged" },
		{ EFI_NO_MEDIA, "no medium in the device" },
		{ EFI_MEDIA_CHANGED, "the medium was changed" },
		{ EFI_NOT_FOUND, "not found" },
		{ EFI_ACCESS_DENIED, "access denied" },
		{ EFI_NO_RESPONSE, "no response" },
		{ EFI_TIMEOUT, "timeout" },
		{ EFI_ABORTED, "aborted" },
		{ EFI_SECURITY_VIOLATION, "security violation" },
		{ EFI_CRC_ERROR, "CRC error" },
	};

	for (uint32_t i = 0; i < ARRAY_COUNT(known); i++)
		if (known[i].status == status)
			return known[i].words;
	return "an unknown status of the firmware";
}

void *firmware_allocate(uint64_t bytes, uint64_t unit, uint64_t limit)
{
	uint64_t size = round_up(bytes, PAGE_SIZE);
	uint64_t slack = unit - PAGE_SIZE;
	EFI_PHYSICAL_ADDRESS start = limit - 1;
	EFI_STATUS status;

	if (!bytes || bytes > limit || size > limit - slack)
		return NULL;
	status = firmware->BootServices->AllocatePages(
		AllocateMaxAddress, EfiLoaderData, (size + slack) / PAGE_SIZE,
		&start);
	if (EFI_ERROR(status) || !start)
		return NULL;

	uint64_t aligned = round_up(start, unit);

	firmware_free((void *)start, aligned - start);
	firmware_free((void *)(aligned + size), start + slack - aligned);
	return (void *)aligned;
}

void firmware_free(void *memory, uint64_t bytes)
{
	if (bytes)
		firmware->BootServices->FreePages((uintptr_t)memory,
						  bytes / PAGE_SIZE);
}
