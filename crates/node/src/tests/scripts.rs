//! What is interrupted, and what must be true once it was done again.

use flocker_model::{ApplicationName, Deployment, NodeName, Observed};
use flocker_plan::{Plan, plan};

use super::cluster::{Cluster, cluster};
use super::resolving::{NODES, on, promote, set_aside, without};
use super::wish::{application_name, node_name};

/// Something that people or machines do, and do again when it was interrupted.
pub(super) trait Script {
    /// What is decided before anything is changed.
    type Decided;

    /// Decides, with nothing going wrong.
    async fn decide(&self, machines: &Cluster) -> Self::Decided;

    /// Does it until something goes wrong.
    async fn attempt(&self, machines: &Cluster, decided: &Self::Decided);

    /// Does it again with nothing going wrong, and checks all that must be true then.
    async fn again(&self, machines: &mut Cluster);

    /// The machine that loses its power, if one does.
    fn victim(&self, point: usize) -> NodeName {
        node_name(point % NODES)
    }
}

/// A deploy.
pub(super) struct Deploy(pub(super) Deployment);

impl Script for Deploy {
    type Decided = Plan;

    async fn decide(&self, machines: &Cluster) -> Plan {
        plan(&cluster(&self.0), &machines.observe().await)
    }

    async fn attempt(&self, machines: &Cluster, decided: &Plan) {
        // What failed is mended below.
        let _ = machines.drive(decided).await;
    }

    async fn again(&self, machines: &mut Cluster) {
        machines.converge(&self.0).await;
    }
}

/// The second machine takes the place of the third, which is lost, and comes back.
pub(super) struct Promote;

impl Promote {
    pub(super) fn lost() -> NodeName {
        node_name(2)
    }

    /// What the operator sees.
    async fn look(machines: &Cluster) -> Observed {
        machines.part(&Self::lost());
        without(machines, &[Self::lost()]).await
    }
}

impl Script for Promote {
    type Decided = Plan;

    async fn decide(&self, machines: &Cluster) -> Plan {
        promote(&Self::look(machines).await, 1)
    }

    async fn attempt(&self, machines: &Cluster, decided: &Plan) {
        let _ = machines.drive(decided).await;
    }

    async fn again(&self, machines: &mut Cluster) {
        let decided = self.decide(machines).await;
        machines.drive(&decided).await.unwrap();
        let left = self.decide(machines).await;
        assert!(left.is_empty(), "left to do:\n{left}\nafter\n{decided}");
        machines.check_owners();
        let lost = Self::lost();
        machines.rejoin(&lost);
        let complied = machines.restore(&lost).await;
        assert_eq!(complied.lines, [""; 0], "{complied:?}");
        assert!(!complied.blocked.is_empty(), "{complied:?}");
        assert!(!machines.runs(&lost, &application_name(0)));
        SetAside.again(machines).await;
    }
}

/// The copy of the third machine, whose place was taken, is set aside.
pub(super) struct SetAside;

impl Script for SetAside {
    type Decided = Plan;

    async fn decide(&self, machines: &Cluster) -> Plan {
        set_aside(&machines.observe().await, &Promote::lost())
    }

    async fn attempt(&self, machines: &Cluster, decided: &Plan) {
        let _ = machines.drive(decided).await;
    }

    async fn again(&self, machines: &mut Cluster) {
        let lost = Promote::lost();
        let decided = self.decide(machines).await;
        machines.drive(&decided).await.unwrap();
        let left = self.decide(machines).await;
        assert!(left.is_empty(), "left to do:\n{left}\nafter\n{decided}");
        assert_eq!(machines.kept_aside(&lost), 1);
        assert!(!machines.runs(&lost, &application_name(0)));
        machines.check_owners();
        machines.replaced.clear();
        machines.forget_acknowledged(&application_name(0));
        machines.converge(&on(1)).await;
    }
}

/// A machine that has booted brings back what it ran.
pub(super) struct Restore(pub(super) Deployment);

impl Restore {
    /// The machine.
    pub(super) fn node() -> NodeName {
        node_name(0)
    }
}

impl Script for Restore {
    type Decided = ();

    async fn decide(&self, _machines: &Cluster) {}

    async fn attempt(&self, machines: &Cluster, _decided: &()) {
        let _ = machines.try_to_restore(&Self::node()).await;
    }

    async fn again(&self, machines: &mut Cluster) {
        let node = Self::node();
        let complied = machines.restore(&node).await;
        assert!(complied.failures.is_empty(), "{complied:?}");
        assert!(complied.blocked.is_empty(), "{complied:?}");
        assert!(complied.silent.is_empty(), "{complied:?}");
        machines.check(&self.0);
        machines.write();

        machines.faults.take_reached();
        let complied = machines.restore(&node).await;
        assert_eq!(complied.lines, [""; 0]);
        let reached = machines.faults.take_reached();
        let steps: Vec<&String> = reached
            .iter()
            .filter(|place| !place.starts_with("restore."))
            .collect();
        assert!(steps.is_empty(), "the second restore did {steps:?}");
        machines.check(&self.0);
        let left = plan(&cluster(&self.0), &machines.observe().await);
        assert!(left.is_empty(), "left to do:\n{left}");
    }

    fn victim(&self, _point: usize) -> NodeName {
        Self::node()
    }
}

/// A unit makes an application ready at a boot, and the restore comes after that.
pub(super) struct Prepare(pub(super) Restore, pub(super) ApplicationName);

impl Script for Prepare {
    type Decided = ();

    async fn decide(&self, _machines: &Cluster) {}

    async fn attempt(&self, machines: &Cluster, _decided: &()) {
        let _ = machines.prepare(&Restore::node(), &self.1).await;
    }

    async fn again(&self, machines: &mut Cluster) {
        machines.prepare(&Restore::node(), &self.1).await.unwrap();
        machines.check_owners();
        self.0.again(machines).await;
    }

    fn victim(&self, _point: usize) -> NodeName {
        Restore::node()
    }
}
