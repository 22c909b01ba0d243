/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <stdbool.h>
#include <string.h>

#include "console.h"
#include "firmware.h"
#include "processors.h"
#include "wall_clock.h"

static void describe_firmware(struct mull_boot_info *info)
{
	const CHAR16 *vendor = firmware->FirmwareVendor;
	uint32_t length = 0;

	/* Bounded, and for the hypervisor's log only plain characters. */
	while (vendor && vendor[length] &&
	       length < sizeof info->firmware_vendor - 1) {
		CHAR16 c = vendor[length];

		info->firmware_vendor[length++] = c < ' ' || c > '~' ? '?' : c;
	}
	info->firmware_vendor[length] = '\0';
	info->reset_system = (uintptr_t)firmware->RuntimeServices->ResetSystem;
	say("Firmware:   %s, revision 0x%x, UEFI %u.%u\n",
	    info->firmware_vendor, firmware->FirmwareRevision,
	    firmware->Hdr.Revision >> 16,
	    (firmware->Hdr.Revision & 0xffff) / 10);
}

static uint64_t find_rsdp(const EFI_GUID *kind)
{
	for (UINTN i = 0; i < firmware->NumberOfTableEntries; i++) {
		const EFI_CONFIGURATION_TABLE *entry =
			&firmware->ConfigurationTable[i];

		if (!memcmp(&entry->VendorGuid, kind, sizeof *kind) &&
		    entry->VendorTable &&
		    !memcmp(entry->VendorTable, "RSD PTR ", 8))
			return (uintptr_t)entry->VendorTable;
	}
	return 0;
}

static void describe_acpi(struct mull_boot_info *info)
{
	EFI_GUID acpi_2 = ACPI_20_TABLE_GUID, acpi_1 = ACPI_TABLE_GUID;

	info->rsdp = find_rsdp(&acpi_2);
	if (!info->rsdp)
		info->rsdp = find_rsdp(&acpi_1);
	if (info->rsdp)
		say("ACPI:       RSDP at 0x%lx\n", info->rsdp);
	else
		say("ACPI:       the firmware has no tables\n");
}

/* NULL, or why the hypervisor cannot draw on what @graphics shows. */
static const char *read_mode(const EFI_GRAPHICS_OUTPUT_PROTOCOL *graphics,
			     struct mull_framebuffer *screen)
{
	const EFI_GRAPHICS_OUTPUT_PROTOCOL_MODE *mode = graphics->Mode;

	if (!mode || !mode->Info)
		return "no mode is set";
	*screen = (struct mull_framebuffer){
		.address = mode->FrameBufferBase,
		.width = mode->Info->HorizontalResolution,
		.height = mode->Info->VerticalResolution,
		.pitch = mode->Info->PixelsPerScanLine,
	};
	switch (mode->Info->PixelFormat) {
	case PixelRedGreenBlueReserved8BitPerColor:
		screen->format = MULL_PIXEL_RGBX;
		break;
	case PixelBlueGreenRedReserved8BitPerColor:
		screen->format = MULL_PIXEL_BGRX;
		break;
	default:
		return "its pixels are not 32-bit RGB or BGR";
	}
	if (!screen->address || screen->width > screen->pitch ||
	    (uint64_t)screen->pitch * screen->height >
		    mode->FrameBufferSize / sizeof(uint32_t))
		return "its geometry makes no sense";
	return NULL;
}

/* Takes the first screen that has a framebuffer which we can draw on. */
static void describe_screen(struct mull_boot_info *info)
{
	EFI_GUID wanted = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
	const char *problem = "the firmware offers none";
	struct mull_framebuffer screen = { 0 };
	EFI_HANDLE *handles = NULL;
	UINTN count = 0;

	if (EFI_ERROR(firmware->BootServices->LocateHandleBuffer(
		    ByProtocol, &wanted, NULL, &count, &handles)))
		count = 0;
	for (UINTN i = 0; i < count; i++) {
		void *found = NULL;

		if (EFI_ERROR(firmware->BootServices->HandleProtocol(
			    handles[i], &wanted, &found)))
			continue;
		problem = read_mode(found, &screen);
		if (!problem)
			break;
	}
	if (handles)
		firmware->BootServices->FreePool(handles);
	if (problem) {
		say("Screen:     no framebuffer: %s\n", problem);
		return;
	}
	info->framebuffer = screen;
	say("Screen:     %u x %u pixels at 0x%lx\n", screen.width,
	    screen.height, screen.address);
}

static void describe_clock(struct mull_boot_info *info)
{
	EFI_TIME time;
	EFI_STATUS status = firmware->RuntimeServices->GetTime(&time, NULL);

	if (EFI_ERROR(status)) {
		say("Clock:      unknown: %s\n", firmware_words(status));
		return;
	}

	struct wall_clock clock = {
		.year = time.Year,
		.month = time.Month,
		.day = time.Day,
		.hour = time.Hour,
		.minute = time.Minute,
		.second = time.Second,
		.zone = time.TimeZone,
	};

	info->wall_clock = wall_clock_seconds(&clock);
	if (!info->wall_clock)
		say("Clock:      unknown: the firmware's date is impossible\n");
	else
		say("Clock:      %04u-%02u-%02u %02u:%02u:%02u, %lu s since "
		    "1970 UTC\n",
		    (uint32_t)clock.year, (uint32_t)clock.month,
		    (uint32_t)clock.day, (uint32_t)clock.hour,
		    (uint32_t)clock.minute, (uint32_t)clock.second,
		    info->wall_clock);
}

void machine_describe(struct mull_boot_info *info)
{
	describe_firmware(info);
	processors_describe(info);
	describe_acpi(info);
	describe_screen(info);
	describe_clock(info);
}
