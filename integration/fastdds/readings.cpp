// A publisher and a subscriber of readings over DDS, whose identities are what their XML profile
// says:
//   readings publish|subscribe PROFILE.xml COUNT SECONDS
// The publisher waits for a subscriber, sends COUNT readings and waits until they have arrived; the
// subscriber prints what comes and ends after COUNT. Both give up after SECONDS. Loopback is the
// only network.
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>

#include <fastdds/dds/domain/DomainParticipant.hpp>
#include <fastdds/dds/domain/DomainParticipantFactory.hpp>
#include <fastdds/dds/domain/DomainParticipantListener.hpp>
#include <fastdds/dds/publisher/DataWriter.hpp>
#include <fastdds/dds/publisher/Publisher.hpp>
#include <fastdds/dds/subscriber/DataReader.hpp>
#include <fastdds/dds/subscriber/SampleInfo.hpp>
#include <fastdds/dds/subscriber/Subscriber.hpp>
#include <fastdds/dds/topic/TopicDataType.hpp>
#include <fastdds/rtps/transport/UDPv4TransportDescriptor.h>

using namespace eprosima::fastdds::dds;
using eprosima::fastrtps::types::ReturnCode_t;
namespace rtps = eprosima::fastrtps::rtps;

namespace
{

// A reading is its text, and is sent as that.
using Reading = std::string;

class ReadingType : public TopicDataType
{
  public:
    static constexpr uint32_t longest = 256;

    ReadingType()
    {
        setName("Reading");
        m_typeSize = longest;
    }

    bool serialize(void *data, rtps::SerializedPayload_t *ret) override
    {
        const auto &reading = *static_cast<Reading *>(data);
        ret->length = static_cast<uint32_t>(reading.size());
        std::memcpy(ret->data, reading.data(), reading.size());
        return true;
    }

    bool deserialize(rtps::SerializedPayload_t *payload, void *ret) override
    {
        static_cast<Reading *>(ret)->assign(reinterpret_cast<char *>(payload->data),
                                            payload->length);
        return true;
    }

    std::function<uint32_t()> getSerializedSizeProvider(void *data) override
    {
        return [data] { return static_cast<uint32_t>(static_cast<Reading *>(data)->size()); };
    }

    void *createData() override
    {
        return new Reading;
    }
    void deleteData(void *data) override
    {
        delete static_cast<Reading *>(data);
    }
    bool getKey(void *, rtps::InstanceHandle_t *, bool) override
    {
        return false;
    }
};

// What happens, as lines on stdout and as numbers to wait for.
class Events : public DomainParticipantListener
{
  public:
    void onParticipantAuthentication(DomainParticipant *,
                                     rtps::ParticipantAuthenticationInfo &&info) override
    {
        bool let_in = info.status == rtps::ParticipantAuthenticationInfo::AUTHORIZED_PARTICIPANT;
        say(let_in ? "authenticated a participant" : "refused a participant");
    }

    // What the other's certificate is, as it claims before it has to prove it.
    void on_participant_discovery(DomainParticipant *,
                                  rtps::ParticipantDiscoveryInfo &&info) override
    {
        if (info.status != rtps::ParticipantDiscoveryInfo::DISCOVERED_PARTICIPANT)
            return;
        for (const auto &property : info.info.identity_token_.properties())
            say("its " + property.name() + " is " + property.value());
    }

    void on_publication_matched(DataWriter *, const PublicationMatchedStatus &status) override
    {
        count(matched, status.current_count);
    }

    void on_data_available(DataReader *reader) override
    {
        Reading reading;
        SampleInfo info;
        while (reader->take_next_sample(&reading, &info) == ReturnCode_t::RETCODE_OK)
            if (info.valid_data) {
                say(reading);
                count(received, received + 1);
            }
    }

    bool wait_for(const int &what, int n, std::chrono::steady_clock::time_point end)
    {
        std::unique_lock<std::mutex> lock(mutex);
        return changed.wait_until(lock, end, [&] { return what >= n; });
    }

    int matched = 0, received = 0;

  private:
    void say(const std::string &line)
    {
        std::lock_guard<std::mutex> lock(mutex);
        std::puts(line.c_str());
        std::fflush(stdout);
    }

    void count(int &what, int n)
    {
        std::lock_guard<std::mutex> lock(mutex);
        what = n;
        changed.notify_all();
    }

    std::mutex mutex;
    std::condition_variable changed;
};

int fail(const char *what)
{
    std::fprintf(stderr, "readings: %s\n", what);
    return 1;
}

template <typename Qos> Qos reliable(Qos qos)
{
    qos.reliability().kind = RELIABLE_RELIABILITY_QOS;
    qos.durability().kind = TRANSIENT_LOCAL_DURABILITY_QOS;
    qos.history().kind = KEEP_ALL_HISTORY_QOS;
    return qos;
}

DomainParticipant *join(const char *profile, Events &events)
{
    auto *factory = DomainParticipantFactory::get_instance();
    DomainParticipantQos qos;
    if (factory->load_XML_profiles_file(profile) != ReturnCode_t::RETCODE_OK ||
        factory->get_participant_qos_from_profile("identity", qos) != ReturnCode_t::RETCODE_OK)
        return nullptr;
    auto loopback = std::make_shared<eprosima::fastdds::rtps::UDPv4TransportDescriptor>();
    loopback->interfaceWhiteList.push_back("127.0.0.1");
    qos.transport().use_builtin_transports = false;
    qos.transport().user_transports.push_back(loopback);
    return factory->create_participant(0, qos, &events, StatusMask::none());
}

int publish(DomainParticipant *participant, Topic *topic, Events &events, int n,
            std::chrono::steady_clock::time_point end)
{
    auto *publisher = participant->create_publisher(PUBLISHER_QOS_DEFAULT);
    auto *writer =
        publisher ? publisher->create_datawriter(topic, reliable(DATAWRITER_QOS_DEFAULT), &events)
                  : nullptr;
    if (!writer)
        return fail("may not publish");
    if (!events.wait_for(events.matched, 1, end))
        return fail("no subscriber");
    for (int i = 1; i <= n; i++) {
        Reading reading = "reading " + std::to_string(i);
        writer->write(&reading);
    }
    if (writer->wait_for_acknowledgments({60, 0}) != ReturnCode_t::RETCODE_OK)
        return fail("not everything arrived");
    std::printf("sent %d readings\n", n);
    return 0;
}

int subscribe(DomainParticipant *participant, Topic *topic, Events &events, int n,
              std::chrono::steady_clock::time_point end)
{
    auto *subscriber = participant->create_subscriber(SUBSCRIBER_QOS_DEFAULT);
    if (!subscriber ||
        !subscriber->create_datareader(topic, reliable(DATAREADER_QOS_DEFAULT), &events))
        return fail("may not subscribe");
    return events.wait_for(events.received, n, end) ? 0 : fail("not enough readings");
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 5)
        return fail("publish|subscribe PROFILE.xml COUNT SECONDS");
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::stoi(argv[4]));
    Events events;
    auto *participant = join(argv[2], events);
    if (!participant)
        return fail("no participant: its identity cannot be had");
    TypeSupport(new ReadingType).register_type(participant);
    auto *topic = participant->create_topic("readings", "Reading", TOPIC_QOS_DEFAULT);
    if (!topic)
        return fail("no topic");
    auto *role = argv[1] == std::string("publish") ? publish : subscribe;
    int status = role(participant, topic, events, std::stoi(argv[3]), end);
    participant->delete_contained_entities();
    DomainParticipantFactory::get_instance()->delete_participant(participant);
    return status;
}
