// What a packet is counted by, and that its client is told when it is over a limit. The limits are asked by LimitGate.
#include "proxy/limit_gate.hpp"
#include "proxy/packet_proxy.hpp"

namespace steelyard {

// A packet has a client and, where it is data, a policy; other parts of a key it does not have.
class PacketProxy::Counted final : public LimitSubject {
 public:
  explicit Counted(const PacketExchange& exchange) : exchange_(exchange) {}
  IpAddress client() override { return exchange_.client.ip; }
  std::optional<std::string_view> value(const quota::KeyPart& part) override {
    const auto* const data = std::get_if<packet::Data>(&exchange_.message);
    if (data == nullptr || part.source != quota::KeyPart::Source::policy) return std::nullopt;
    return data->policy;
  }

 private:
  const PacketExchange& exchange_;
};

Task<bool> PacketProxy::pass_limits(Trip& trip) {
  const Site& site = trip.site();
  Counted counted(trip.exchange);
  LimitGate gate(counted, trip.in_use, views_.worker(), scheduler_);
  const bool passes = co_await gate.pass(site.limits_of_listener(trip.exchange.listener), {}, trip.exchange.start + site.timeouts.total);
  if (passes) {
    gate.keep(trip.limits);
  } else if (gate.refused_by() == nullptr) {
    trip.outcome = Outcome::client_gone;
    trip.failure = "the client went away";
    trip.exchange.broken_off = true;
  } else {
    if (!trip.limits) trip.limits = std::make_unique<LimitUse>();
    trip.limits->refused_by = gate.refused_by();
    const bool counted_at_all = !gate.unreachable();
    co_await refuse(trip, counted_at_all ? 429 : 503, counted_at_all ? gate.refused_by()->options.body : "a limit cannot be counted");
  }
  co_return passes;
}

}  // namespace steelyard
