package documents_test

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

// An x11 is a client of an X server: as much of the X11 protocol (https://www.x.org/releases/X11R7.7/doc/xproto/x11protocol.html)
// as it takes to see windows, to take a picture of one, and to be the program that holds a user's settings.
type x11 struct {
	t          *testing.T
	conn       net.Conn
	root, base uint32
	visual     uint32
}

const cookieName = "MIT-MAGIC-COOKIE-1"

// authority is the content of an authority file that lets clients in which have the cookie, on any display (xauth(1)).
func authority(cookie []byte) []byte {
	b := []byte{0xff, 0xff, 0, 0, 0, 0} // any address, any display
	for _, field := range [][]byte{[]byte(cookieName), cookie} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(field)))
		b = append(b, field...)
	}
	return b
}

func padded(b []byte) []byte { return append(b, make([]byte, (4-len(b)%4)%4)...) }

func dialX11(t *testing.T, display string, cookie []byte) *x11 {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "unix", "/tmp/.X11-unix/X"+display[1:])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // nobody waits for it
	x := &x11{t: t, conn: conn}
	hello := []byte{'l', 0, 11, 0, 0, 0, byte(len(cookieName)), 0, byte(len(cookie)), 0, 0, 0}
	x.write(slices.Concat(hello, padded([]byte(cookieName)), padded(slices.Clone(cookie))))
	head := x.read(8)
	body := x.read(4 * int(binary.LittleEndian.Uint16(head[6:])))
	if head[0] != 1 {
		t.Fatalf("the X server refuses: %q", body)
	}
	x.base = binary.LittleEndian.Uint32(body[4:])
	vendor, formats := int(binary.LittleEndian.Uint16(body[16:])), int(body[21])
	screen := body[32+len(padded(make([]byte, vendor)))+8*formats:]
	x.root, x.visual = binary.LittleEndian.Uint32(screen), binary.LittleEndian.Uint32(screen[32:])
	return x
}

func (x *x11) write(b []byte) {
	x.t.Helper()
	if err := x.conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		x.t.Fatal(err)
	}
	if _, err := x.conn.Write(b); err != nil {
		x.t.Fatal(err)
	}
}

func (x *x11) read(n int) []byte {
	x.t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(x.conn, b); err != nil {
		x.t.Fatal(err)
	}
	return b
}

// send makes a request of its number, its one byte of data and the rest, which are numbers of 32 bits or bytes.
func (x *x11) send(opcode, data byte, rest ...any) {
	x.t.Helper()
	var b bytes.Buffer
	for _, field := range rest {
		if text, ok := field.([]byte); ok {
			b.Write(text)
		} else if err := binary.Write(&b, binary.LittleEndian, field); err != nil {
			x.t.Fatal(err)
		}
	}
	body := padded(b.Bytes())
	x.write(append([]byte{opcode, data, byte(len(body)/4 + 1), byte((len(body)/4 + 1) >> 8)}, body...))
}

// reply gives the answer to the last request: nil if that failed, since a window may be gone by then.
func (x *x11) reply() []byte {
	x.t.Helper()
	for {
		head := x.read(32)
		switch head[0] {
		case 0:
			return nil
		case 1:
			return append(head, x.read(4*int(binary.LittleEndian.Uint32(head[4:])))...)
		}
	}
}

func (x *x11) atom(name string) uint32 {
	x.t.Helper()
	x.send(16, 0, uint16(len(name)), uint16(0), []byte(name))
	return binary.LittleEndian.Uint32(x.reply()[8:])
}

// A window is one that the screen shows.
type window struct {
	id   uint32
	name string
}

// windows are those in which programs show something, by their names.
func (x *x11) windows() []window {
	x.t.Helper()
	var all []window
	x.send(15, 0, x.root) // QueryTree
	tree := x.reply()
	for i := range int(binary.LittleEndian.Uint16(tree[16:])) {
		id := binary.LittleEndian.Uint32(tree[32+4*i:])
		x.send(3, 0, id) // GetWindowAttributes
		if attributes := x.reply(); attributes == nil || attributes[26] != 2 {
			continue // not viewable
		}
		x.send(20, 0, id, uint32(39), uint32(0), uint32(0), uint32(100)) // GetProperty WM_NAME
		if property := x.reply(); property != nil {
			all = append(all, window{id, string(property[32 : 32+binary.LittleEndian.Uint32(property[16:])])})
		}
	}
	return all
}

// picture is what a window shows.
func (x *x11) picture(id uint32) image.Image {
	x.t.Helper()
	x.send(14, 0, id) // GetGeometry
	geometry := x.reply()
	width, height := binary.LittleEndian.Uint16(geometry[16:]), binary.LittleEndian.Uint16(geometry[18:])
	x.send(73, 2, id, uint32(0), width, height, uint32(0xffffffff)) // GetImage, by pixels
	pixels := x.reply()[32:]
	picture := image.NewRGBA(image.Rect(0, 0, int(width), int(height)))
	for i := range int(width) * int(height) {
		picture.Set(i%int(width), i/int(width), color.RGBA{pixels[4*i+2], pixels[4*i+1], pixels[4*i], 0xff})
	}
	return picture
}

// setSetting makes this client the one that tells programs how they are set, as a desktop's does
// (https://www.freedesktop.org/wiki/Specifications/XSettings/), with one setting, a text.
func (x *x11) setSetting(name, value string) {
	x.t.Helper()
	window := x.base + 1
	x.send(1, 0, window, x.root, uint32(0), uint16(1), uint16(1), uint16(0), uint16(2), uint32(0), uint32(0)) // CreateWindow, input only
	var b bytes.Buffer
	for _, field := range []any{
		uint32(0), uint32(1), uint32(1), // least significant byte first, serial number, settings
		uint16(1), uint16(len(name)), padded([]byte(name)), uint32(1), // a text
		uint32(len(value)), padded([]byte(value)),
	} {
		if err := binary.Write(&b, binary.LittleEndian, field); err != nil {
			x.t.Fatal(err)
		}
	}
	settings := x.atom("_XSETTINGS_SETTINGS")
	x.send(18, 0, window, settings, settings, uint32(8), uint32(b.Len()), b.Bytes()) // ChangeProperty
	x.send(22, 0, window, x.atom("_XSETTINGS_S0"), uint32(0))                        // SetSelectionOwner
	x.send(23, 0, x.atom("_XSETTINGS_S0"))                                           // GetSelectionOwner
	if owner := x.reply(); owner == nil || binary.LittleEndian.Uint32(owner[8:]) != window {
		x.t.Fatalf("the settings are not set: %v", owner)
	}
}
