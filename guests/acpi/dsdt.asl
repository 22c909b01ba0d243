/* SPDX-License-Identifier: MIT */
/*
 * The guests' DSDT: a PCI bus, a serial port, a power button behind a generic
 * event device, and the power-off state.  With MULL_PC it is a legacy PC's,
 * whose power button is a fixed one, with its timer and clock.  Compiled by
 * iasl after the C preprocessor, so that every number comes from
 * <mullion/guest.h>.
 * Interrupt descriptors are edge-triggered throughout: a guest that owns its
 * local APIC has no level-triggered inputs.
 */
#define MULL_NO_C
#include <mullion/guest.h>

/* A slot whose device may come and go. */
#define SLOT(name, number)                                                     \
	Device (name)                                                          \
	{                                                                      \
		Name (_ADR, number << 16)                                      \
		Name (_SUN, number)                                            \
		Method (_EJ0, 1)                                               \
		{                                                              \
			EJCT = number                                          \
		}                                                              \
	}
#define WHERE(name, number)                                                     \
	If (Arg0 == number)                                                    \
	{                                                                      \
		Notify (name, Arg1)                                            \
	}

DefinitionBlock ("", "DSDT", 2, "MULLIO", "MULLGUST", 1)
{
	/* The first element is SLP_TYP; ACPI 6.3, "_S5 (System S5 State)". */
	Name (\_S5, Package () { MULL_GUEST_S5_TYPE, 0, 0, 0 })

	Scope (\_SB)
	{
		/* Without INTx: its functions have MSI-X only.  PCI Firmware
		 * Specification 3.3, "MCFG Table Description": the space of
		 * the MCFG is reserved by a motherboard resource. */
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A08")) /* PCI Express root */
			Name (_CID, EisaId ("PNP0A03"))
			Name (_UID, Zero)
			Name (_BBN, Zero)
			Name (_SEG, Zero)
			Name (_CCA, One)
			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed,
					       MaxFixed, PosDecode,
					       0, 0, 0, 0, 1)
				IO (Decode16, MULL_GUEST_PCI_ADDRESS,
				    MULL_GUEST_PCI_ADDRESS, 1, 8)
				DWordMemory (ResourceProducer, PosDecode,
					     MinFixed, MaxFixed, Prefetchable,
					     ReadWrite, 0, MULL_GUEST_SHARED,
					     MULL_GUEST_SHARED_LAST, 0,
					     MULL_GUEST_SHARED_SIZE)
				DWordMemory (ResourceProducer, PosDecode,
					     MinFixed, MaxFixed, NonCacheable,
					     ReadWrite, 0,
					     MULL_GUEST_PCI_MEMORY,
					     MULL_GUEST_PCI_MEMORY_LAST, 0,
					     MULL_GUEST_PCI_MEMORY_SIZE)
			})

#ifndef MULL_PC /* whose devices are there from the start */
			OperationRegion (HOTP, SystemIO, MULL_GUEST_PCI_COMES,
					 3)
			Field (HOTP, ByteAcc, NoLock, WriteAsZeros)
			{
				COME, 8,
				GOES, 8,
				EJCT, 8
			}

			SLOT (S02, 2)
			SLOT (S03, 3)
			SLOT (S04, 4)
			SLOT (S05, 5)
			SLOT (S06, 6)
			SLOT (S07, 7)
			SLOT (S08, 8)
			SLOT (S09, 9)
			SLOT (S0A, 10)
			SLOT (S0B, 11)

			/* Slot, and what happens: 1, it is there; 3, it is to
			 * be let go. */
			Method (TELL, 2)
			{
				WHERE (S02, 2)
				WHERE (S03, 3)
				WHERE (S04, 4)
				WHERE (S05, 5)
				WHERE (S06, 6)
				WHERE (S07, 7)
				WHERE (S08, 8)
				WHERE (S09, 9)
				WHERE (S0A, 10)
				WHERE (S0B, 11)
			}

			Method (LOOK, 0, Serialized)
			{
				/* One may have come where another has gone. */
				Local0 = GOES
				While (Local0 != 0xFF)
				{
					TELL (Local0, 3)
					Local0 = GOES
				}
				Local0 = COME
				While (Local0 != 0xFF)
				{
					TELL (Local0, 1)
					Local0 = COME
				}
			}
#endif
		}

		Device (MBRD)
		{
			Name (_HID, EisaId ("PNP0C02")) /* motherboard */
			Name (_UID, Zero)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, MULL_GUEST_ECAM,
					       MULL_GUEST_ECAM_SIZE)
			})
		}

		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501")) /* 16550A */
			Name (_UID, 1)
			Name (_STA, 0x0F)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, MULL_GUEST_UART_PORT,
				    MULL_GUEST_UART_PORT, 1, 8)
				Interrupt (ResourceConsumer, Edge, ActiveHigh,
					   Exclusive) { MULL_GUEST_UART_GSI }
			})
		}

#ifdef MULL_PC
		Device (TIMR)
		{
			Name (_HID, EisaId ("PNP0100")) /* 8254 */
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x40, 0x40, 1, 4)
				IRQNoFlags () { 0 }
			})
		}

		Device (RTC)
		{
			Name (_HID, EisaId ("PNP0B00")) /* MC146818 */
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x70, 0x70, 1, 2)
				IRQNoFlags () { 8 }
			})
		}
#else
		Device (PWRB)
		{
			Name (_HID, EisaId ("PNP0C0C")) /* power button */
			Name (_STA, 0x0F)
		}

		/* ACPI 6.3, "Generic Event Device". */
		Device (GED)
		{
			Name (_HID, "ACPI0013")
			Name (_UID, Zero)
			Name (_STA, 0x0F)
			Name (_CRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Edge, ActiveHigh,
					   Exclusive) { MULL_GUEST_EVENT_GSI }
			})

			OperationRegion (EVTR, SystemIO, MULL_GUEST_EVENT_PORT,
					 1)
			Field (EVTR, ByteAcc, NoLock, WriteAsZeros)
			{
				PEND, 8
			}

			Method (_EVT, 1, Serialized)
			{
				/* One read: it clears what it returns. */
				Local0 = PEND
				If (Local0 & MULL_GUEST_EVENT_BUTTON)
				{
					Notify (PWRB, 0x80) /* pressed */
				}
				If (Local0 & MULL_GUEST_EVENT_PCI)
				{
					\_SB.PCI0.LOOK ()
				}
			}
		}
#endif
	}
}
