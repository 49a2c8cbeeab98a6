// Certificates for tests: an authority of its own, and what it signs, as PEM files in a folder that goes with them.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

namespace steelyard::testing_support {

class Certificates {
 public:
  enum class Validity : bool { valid, expired };

  // The server's certificate is for `names`, as OpenSSL writes them: "DNS:redis.test,IP:127.0.0.1".
  explicit Certificates(const std::string& names, Validity validity = Validity::valid) {
    std::string pattern = std::filesystem::temp_directory_path() / "steelyard-certificates-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    const Key authority_key = make_key();
    const Key server_key = make_key();
    const Certificate authority = make("authority", authority_key.get(), nullptr, authority_key.get(), "", Validity::valid);
    const Certificate server = make("server", server_key.get(), authority.get(), authority_key.get(), names, validity);
    write(ca_file(), [&](std::FILE* to) { return PEM_write_X509(to, authority.get()); });
    write(certificate_file(), [&](std::FILE* to) { return PEM_write_X509(to, server.get()); });
    write(key_file(), [&](std::FILE* to) { return PEM_write_PrivateKey(to, server_key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
  }
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;
  ~Certificates() { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string ca_file() const { return folder_ + "/ca.pem"; }
  [[nodiscard]] std::string certificate_file() const { return folder_ + "/server.pem"; }
  [[nodiscard]] std::string key_file() const { return folder_ + "/server.key"; }

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(X509* certificate) const { X509_free(certificate); }
  };
  using Key = std::unique_ptr<EVP_PKEY, Free>;
  using Certificate = std::unique_ptr<X509, Free>;

  static Key make_key() { return Key(EVP_EC_gen("P-256")); }

  static void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    EXPECT_NE(extension, nullptr) << value;
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }

  static Certificate make(const char* name, EVP_PKEY* key, X509* issuer, EVP_PKEY* signer, const std::string& names, Validity validity) {
    Certificate made(X509_new());
    X509_set_version(made.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), issuer == nullptr ? 1 : 2);
    constexpr long day_s = 24 * 60 * 60;
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -2 * day_s);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), validity == Validity::valid ? day_s : -day_s);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name), -1, -1,
                               0);
    X509* const by = issuer != nullptr ? issuer : made.get();
    X509_set_issuer_name(made.get(), X509_get_subject_name(by));
    X509_set_pubkey(made.get(), key);
    extend(made.get(), by, NID_basic_constraints, issuer == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
    if (!names.empty()) extend(made.get(), by, NID_subject_alt_name, names);
    EXPECT_GT(X509_sign(made.get(), signer, EVP_sha256()), 0);
    return made;
  }

  template <typename Write>
  static void write(const std::string& file, const Write& by) {
    std::FILE* const to = std::fopen(file.c_str(), "w");
    EXPECT_EQ(by(to), 1);
    std::fclose(to);
  }

  std::string folder_;
};

}  // namespace steelyard::testing_support
