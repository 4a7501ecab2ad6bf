"""The Verilog around the design under test: it replays beats from files, stalls as told, and writes what comes out.

Nothing is awaited per beat in Python; cocotb gives clock and reset and waits for `done`. Files, in the folder the
simulation runs in: `NAME.hex` for each input stream, such as `a.hex` (one beat per line: the digit `last`, then tdata),
`y.hex` out (the same, then the cycle it was accepted in).
"""

from golden.spec import Spec
from hdl.kinds import kind_of

IDLE_CYCLES = 64
PERIOD_NS = 2
RESET_CYCLES = 4
STALL_UNIT = 1 << 16


def bench(spec: Spec):
    """Verilog text of module `bench` around module `spec.name`.

    Plusargs: +seed, +stall_NAME for each stream (chance of a stall in 1/65536 per cycle), +expect (beats of output),
    +limit (cycles until it gives up). Cycles count from the first beat on `a`, `w` or `c`.
    """
    kind = kind_of(spec)
    sources = kind.inputs(spec)
    drivers = "".join(
        _DRIVER.format(n=name, bits=8 * beat.bytes, index=index) for index, (name, beat) in enumerate(sources.items())
    )
    ports = "".join(_PORTS.format(n=name) for name in sources)
    starts = " || ".join(f"({name}_valid && {name}_ready)" for name in sources if name in ("a", "w", "c"))
    bits = 8 * kind.outputs(spec)["y"].bytes
    return _BENCH.format(name=spec.name, drivers=drivers, ports=ports, starts=starts, bits=bits, idle=IDLE_CYCLES)


_PORTS = """
    .s_axis_{n}_tdata({n}_word[{n}_bits-1:0]), .s_axis_{n}_tvalid({n}_valid),
    .s_axis_{n}_tready({n}_ready), .s_axis_{n}_tlast({n}_word[{n}_bits]),"""

_DRIVER = """
  localparam {n}_bits = {bits};
  integer {n}_file, {n}_got, {n}_stall;
  reg [{n}_bits+3:0] {n}_word, {n}_next;
  reg {n}_valid;
  wire {n}_ready;
  initial begin
    {n}_file = $fopen("{n}.hex", "r");
    if (!$value$plusargs("stall_{n}=%d", {n}_stall)) {n}_stall = 0;
  end
  always @(posedge aclk)
    if (!aresetn) begin
      {n}_valid <= 0;
      {n}_word <= 0;
    end else if (!{n}_valid || {n}_ready) begin
      {n}_got = 0;
      if (random[16*{index} +: 16] >= {n}_stall) {n}_got = $fscanf({n}_file, "%h", {n}_next);
      {n}_valid <= {n}_got == 1;
      if ({n}_got == 1) {n}_word <= {n}_next;
    end
"""

_BENCH = """module bench (
  input aclk,
  input aresetn,
  output reg done,
  output reg [31:0] outputs,
  output reg [31:0] first_cycle,
  output reg [31:0] last_cycle,
  output reg [31:0] protocol_errors,
  output reg [31:0] cycle
);
  reg [63:0] random;    // of the inputs
  reg [63:0] y_random;
  reg [63:0] seed;
  integer expect_outputs, limit, y_stall, y_file;
  initial begin
    if (!$value$plusargs("seed=%d", seed)) seed = 1;
    if (!$value$plusargs("expect=%d", expect_outputs)) expect_outputs = 0;
    if (!$value$plusargs("limit=%d", limit)) limit = 1000000;
    if (!$value$plusargs("stall_y=%d", y_stall)) y_stall = 0;
    y_file = $fopen("y.hex", "w");
  end
  always @(posedge aclk)
    if (!aresetn) begin
      random <= {{seed[31:0], 32'h9E3779B9}};
      y_random <= {{32'h9E3779B9, seed[31:0]}};
    end else begin
      random <= _xorshift(random);
      y_random <= _xorshift(y_random);
    end

  function [63:0] _xorshift(input [63:0] x);
    reg [63:0] t;
    begin
      t = x ^ (x << 13);
      t = t ^ (t >> 7);
      _xorshift = t ^ (t << 17);
    end
  endfunction
{drivers}
  localparam y_bits = {bits};
  wire [y_bits-1:0] y_data;
  wire y_valid, y_last;
  reg y_ready;
  reg held, held_last;
  reg [y_bits-1:0] held_data;
  reg started;
  reg [31:0] idle;

  {name} dut (
    .aclk(aclk), .aresetn(aresetn),{ports}
    .m_axis_y_tdata(y_data), .m_axis_y_tvalid(y_valid), .m_axis_y_tready(y_ready), .m_axis_y_tlast(y_last)
  );

  always @(posedge aclk)
    if (!aresetn) begin
      done <= 0; outputs <= 0; first_cycle <= 0; last_cycle <= 0; protocol_errors <= 0; cycle <= 0;
      y_ready <= 0; held <= 0; started <= 0; idle <= 0; held_data <= 0; held_last <= 0;
    end else begin
      cycle <= cycle + 1;
      y_ready <= y_random[63:48] >= y_stall;
      if (({starts}) && !started) begin
        started <= 1;
        first_cycle <= cycle;
      end
      if (y_valid && y_ready) begin
        $fdisplay(y_file, "%h%h %0d", y_last, y_data, cycle);
        outputs <= outputs + 1;
        last_cycle <= cycle;
        idle <= 0;
      end else idle <= idle + 1;
      held <= y_valid && !y_ready;
      held_data <= y_data;
      held_last <= y_last;
      if (held && (!y_valid || y_data !== held_data || y_last !== held_last)) protocol_errors <= protocol_errors + 1;
      if ((outputs >= expect_outputs && idle >= {idle}) || cycle >= limit) begin
        if (!done) $fclose(y_file);
        done <= 1;
      end
    end
endmodule
"""
