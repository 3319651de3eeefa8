#include "http_table.hpp"

namespace http_table {

waggle::front::limits small_limits() {
  waggle::front::limits out;
  out.header_bytes_max = 300;
  out.fields_max = 8;
  out.target_bytes_max = 100;
  out.body_bytes_max = 20;
  out.chunk_extension_bytes_max = 16;
  return out;
}

samples all() {
  samples out;
  for (const auto part : {accepted, lines, fields, bodies, chunks, strangers}) {
    samples more = part();
    out.insert(out.end(), more.begin(), more.end());
  }
  return out;
}

}  // namespace http_table
