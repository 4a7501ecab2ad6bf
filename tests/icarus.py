"""Products through a design in Icarus alone, without cocotb: their outputs, and the cycles they take."""

import re
import subprocess

from simulation import read_products, verilog, write_streams

from sim.bench import bench

CLOCK = """module clock;
  reg aclk = 0, aresetn = 0;
  wire done;
  wire [31:0] protocol_errors, first_cycle, last_cycle;
  bench bench (.aclk(aclk), .aresetn(aresetn), .done(done), .protocol_errors(protocol_errors),
    .first_cycle(first_cycle), .last_cycle(last_cycle));
  always #1 aclk = ~aclk;
  initial begin
    repeat (4) @(posedge aclk);
    aresetn <= 1;
    @(posedge done) $display("protocol errors %0d, cycles %0d", protocol_errors, last_cycle - first_cycle + 1);
    $finish;
  end
endmodule
"""


def compiled(spec, folder, text=None):
    """Puts the design, or other Verilog in its place, ready to be played into a folder."""
    for name, source in ((spec.name, text or verilog(spec)), ("bench", bench(spec)), ("clock", CLOCK)):
        (folder / f"{name}.v").write_text(source)
    sources = [f"{name}.v" for name in (spec.name, "bench", "clock")]
    subprocess.run(["iverilog", "-g2012", "-o", "clock.vvp", *sources], cwd=folder, check=True, capture_output=True)


def in_icarus(spec, products, folder, text=None, **stalls):
    """Outputs and cycles of products through the design, or other Verilog in its place."""
    compiled(spec, folder, text)
    return played(spec, products, folder, **stalls)


def played(spec, products, folder, seed=1, **stalls):
    """Outputs of each of these products, which follow each other, and the cycles from first beat in to last beat out.

    `stalls` are chances of a stall by stream.
    """
    plusargs = [*write_streams(spec, products, folder), f"+seed={seed}"]
    plusargs += [f"+stall_{name}={int(chance * 65536)}" for name, chance in stalls.items()]
    done = subprocess.run(["vvp", "clock.vvp", *plusargs], cwd=folder, check=True, capture_output=True, text=True)
    found = re.search(r"protocol errors (\d+), cycles (\d+)", done.stdout)
    assert found is not None and found[1] == "0", done.stdout
    return read_products(spec, products, folder), int(found[2])
