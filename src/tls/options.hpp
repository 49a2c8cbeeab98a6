// How this process makes itself sure of whom it talks to over TLS. Filled by config/, with these defaults; the files are read once, by
// ClientContext::make().
#pragma once

#include <cstdint>
#include <string>

namespace steelyard::tls {

enum class Verify : std::uint8_t {
  full,  // the certificate is signed by who is trusted, and is the server's whose name was asked for
  none,  // whoever answers: only where nobody else can
};

struct ClientOptions {
  Verify verify = Verify::full;
  std::string ca_file{};           // certificates of who is trusted, PEM; "": those of the system
  std::string certificate_file{};  // our own with its chain, PEM, where servers want one; "": none
  std::string key_file{};          // its private key, PEM
  std::string server_name{};       // that must be in the server's certificate, and is asked for (SNI); "": its IP address must be
  friend bool operator==(const ClientOptions&, const ClientOptions&) = default;
};

}  // namespace steelyard::tls
